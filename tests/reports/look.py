"""Open pages of hostile reports in Chromium, by hand: ``python tests/reports/look.py FOLDER``.

Needs ``chromium``, ``node``, in FOLDER what ``npm install axe-core puppeteer-core`` puts there; says so and ends with
77 (skipped) where one is missing. Each page is opened in both colour schemes: no request may leave it, nothing may be
written to the console, axe-core may find nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.reports.test_documents import HOSTILE, SAVED, document, hostile  # noqa: E402
from troubleshoot.report import from_json  # noqa: E402
from troubleshoot.run.engine import replay  # noqa: E402

SCRIPT = """
const puppeteer = require('puppeteer-core'), fs = require('fs');
(async () => {
  const browser = await puppeteer.launch({executablePath: process.argv[2], args: ['--no-sandbox']});
  let bad = 0;
  const say = (...words) => { bad += 1; console.log(...words); };
  for (const file of process.argv.slice(3)) for (const scheme of ['light', 'dark']) {
    const page = await browser.newPage();
    await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}]);
    page.on('request', r => { if (r.url() !== 'file://' + file) say(file, 'asks for', r.url()); });
    page.on('console', m => say(file, m.type(), m.text()));
    page.on('pageerror', e => say(file, 'error', e.message));
    await page.goto('file://' + file);
    await page.evaluate(() => document.querySelectorAll('details').forEach(d => { d.open = true; }));
    const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    if ((colour === 'rgb(255, 255, 255)') !== (scheme === 'light')) say(file, scheme, colour);
    await page.setBypassCSP(true);
    await page.evaluate(fs.readFileSync('node_modules/axe-core/axe.min.js', 'utf8'));
    const found = await page.evaluate(() => axe.run());
    for (const one of found.violations) say(file, scheme, one.id, one.help, JSON.stringify(one.nodes[0].html));
    await page.close();
  }
  const page = await browser.newPage();
  await page.goto('file://' + process.argv[3]);
  await page.pdf({path: process.argv[3] + '.pdf', format: 'A4', preferCSSPageSize: true});
  await page.screenshot({path: process.argv[3] + '.png', fullPage: true});
  await browser.close();
  process.exit(bad ? 1 : 0);
})();
"""


def main() -> int:
    """Return 0 where all pages are quiet, 1 where one is not, 77 where they cannot be opened here."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    browser = shutil.which("chromium")
    if browser is None or shutil.which("node") is None or not (folder / "node_modules/axe-core").is_dir():
        print("skipped: chromium, node, or axe-core and puppeteer-core in node_modules of FOLDER are missing")
        return 77
    with tempfile.TemporaryDirectory() as name:
        kept = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(name)
        pages = []
        for number, path in enumerate(SAVED[::9]):
            report = replay(from_json(path.read_bytes()), "ko" if number % 2 else "en")
            for poison, text in enumerate((report, *(hostile(report, one) for one in HOSTILE))):
                page = kept / f"{path.stem}.{poison}.html"
                page.write_text(document("html", text, "ko" if number % 2 else "en"), encoding="utf-8")
                pages.append(str(page))
        script = folder / "look.cjs"
        script.write_text(SCRIPT, encoding="utf-8")
        done = subprocess.run(["node", str(script), browser, *pages], cwd=folder, check=False, timeout=600)
        script.unlink()
        print(f"{len(pages)} pages in two colour schemes: {'quiet' if done.returncode == 0 else 'NOT quiet'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
