"""Rules for certificates: what is wrong with the service's, or with the clock that it is held to (RFC 5280)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from probes.base import Note, note
from probes.service import ServiceOutcome, ServiceResult, TlsFacts
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, clock, rungs
from troubleshoot.judge.evidence.attempt import step_of
from troubleshoot.judge.evidence.ladder import climbed, hop_of, shown, weight
from troubleshoot.judge.model import Finding, rule, values
from troubleshoot.judge.service import on_any

#: What OpenSSL calls it (openssl-verification-options(1), x509_vfy.h) → variant of the cause.
_BY_CODE = {
    9: "future", 10: "expired", 18: "self", 19: "untrusted", 62: "name", 64: "name", 66: "weak", 67: "weak", 68: "weak",
}  # fmt: skip
#: The issuer is not known here: a link of the chain is missing, or nobody trusts its end.
_ISSUER_UNKNOWN = frozenset({2, 20, 21, 27})
#: What differs from the program's own settings is no more than likely: it may trust others than this machine does.
_OF_TRUST = frozenset({"self", "untrusted", "incomplete", "default", "weak"})


class _Paper(msgspec.Struct, frozen=True):
    """A certificate as it was shown at ``now``, and the two days that bound it."""

    result: ServiceResult
    tls: TlsFacts
    now: datetime
    begins: datetime
    ends: datetime

    @property
    def valid_at(self) -> bool:
        """Whether this machine's clock lies between its days."""
        return self.begins <= self.now <= self.ends


def _paper(facts: Facts, reach: Reach) -> _Paper | None:
    """Return the certificate that the service showed, ``None`` where it showed none that can be read."""
    record = facts.observation("service", facts.service.subject(reach.address, rungs.TLS))
    result = record.result if record is not None else None
    if record is None or not isinstance(result, ServiceResult) or result.tls is None:
        return None
    begins, ends = clock.of_text(result.tls.not_before), clock.of_text(result.tls.not_after)
    if begins is None or ends is None or result.outcome not in (ServiceOutcome.TLS_OK, ServiceOutcome.TLS_ALERT):
        return None
    return _Paper(result, result.tls, clock.at(record.started), begins, ends)


def _theirs(paper: _Paper) -> datetime | None:
    """Return what the service's own clock said, where it answered with a page."""
    return clock.of_header(paper.result.http.date) if paper.result.http is not None else None


class _Clock(msgspec.Struct, frozen=True):
    """A moment that shows that this machine's clock is wrong; whether its own files do, whether that settles it."""

    moment: datetime
    by_files: bool = False
    certain: bool = False


def _clock_is_wrong(paper: _Paper) -> _Clock | None:
    """Return what shows that this machine's clock is wrong, rather than the certificate.

    That files were written later than now is certain to mean a slow clock; that the certificate is good otherwise is
    certain only where they were written within its days, and the service's clock is not as late as this one.
    """
    if paper.valid_at:
        return None
    theirs = _theirs(paper)
    agrees = theirs is not None and not clock.apart(theirs, paper.now)
    newest = paper.result.newest_file_s
    written = clock.at(newest) if newest is not None else paper.now
    slow = written > paper.now and clock.apart(written, paper.now) and paper.now < paper.begins
    good = paper.begins <= written <= paper.ends
    if slow and good:
        return _Clock(written, by_files=True, certain=not agrees)
    if theirs is not None and not agrees and paper.begins <= theirs <= paper.ends:
        return _Clock(theirs)
    return _Clock(written, by_files=True) if slow and not agrees and written <= paper.ends else None


@rule("clock-wrong", asks=(asks.connected.service,), holds_up="healthy")
def clock_wrong(facts: Facts) -> Finding | None:
    """A good certificate looks expired or not yet valid, for this machine's own clock is wrong."""
    return on_any(facts, _wrong)


def _wrong(facts: Facts, reach: Reach) -> Finding | None:
    if climbed(facts, reach) is None:
        return None
    paper = _paper(facts, reach)
    other = _clock_is_wrong(paper) if paper is not None else None
    if paper is None or other is None:
        return None
    key = "fact.clock-files" if other.by_files else "fact.clock-apart"
    moments = {"ours": clock.minute(paper.now), "theirs": clock.minute(other.moment)}
    return Finding(
        cause="clock-wrong",
        confidence="certain" if other.certain else "likely",
        step=step_of(facts),
        evidence=(
            *shown(facts, reach, facts.service.peek_rung(reach.address, rungs.TLS)),
            (step_of(facts), note(key, **moments)),
            (step_of(facts), _days(paper)),
        ),
        values=values(**moments, address=reach.address),
        variant="slow" if other.by_files else "default",
        also=()
        if other.certain
        else (("certificate-invalid", note("verdict.open-files")),)
        if other.by_files
        else (("certificate-invalid", note("verdict.open-their-clock")),),
    )


def _days(paper: _Paper) -> Note:
    return note("fact.certificate-days", begins=clock.day(paper.begins), ends=clock.day(paper.ends))


@rule("certificate-invalid", asks=(asks.connected.service,), holds_up="healthy")
def certificate_invalid(facts: Facts) -> Finding | None:
    """The certificate that the service shows does not pass the check."""
    return on_any(facts, _invalid)


def _invalid(facts: Facts, reach: Reach) -> Finding | None:
    if climbed(facts, reach) is None:
        return None
    paper = _paper(facts, reach)
    if paper is None or _clock_is_wrong(paper) is not None:
        return None
    # On a port that is not known to speak TLS no question of trust was asked: its days are all that can be told.
    if paper.valid_at and (paper.tls.verify_error is None or not facts.request.tls):
        return None
    kind, tls = _kind(paper), paper.tls
    edge = paper.ends if kind == "expired" else paper.begins
    theirs = _theirs(paper)
    clock_agrees = theirs is not None and not clock.apart(theirs, paper.now)
    dated = kind in ("expired", "future")
    open_to_doubt = kind in _OF_TRUST or (kind == "name" and facts.names.is_literal) or (dated and not clock_agrees)
    sure = facts.request.tls and weight(facts) == "likely" and not open_to_doubt
    return Finding(
        cause="certificate-invalid",
        confidence="certain" if sure else weight(facts) if facts.request.tls else "possible",
        step=step_of(facts),
        evidence=(
            *shown(facts, reach, facts.service.peek_rung(reach.address, rungs.TLS)),
            (step_of(facts), _days(paper)),
            *(((step_of(facts), note("fact.certificate-told", error=tls.verify_error)),) if tls.verify_error else ()),
        ),
        values=values(
            day=clock.day(edge),
            days=clock.days(edge, paper.now),
            name=facts.request.target.host,
            names=", ".join(tls.names[:4]) or tls.subject or "?",
            subject=tls.subject or "?",
            issuer=(tls.last_issuer if kind == "untrusted" else tls.issuer) or tls.issuer or "?",
            error=tls.weak or tls.verify_error or "?",
        ),
        variant={
            "expired": "expired",
            "future": "future",
            "name": "name",
            "self": "self",
            "untrusted": "untrusted",
            "incomplete": "incomplete",
            "weak": "weak",
            "default": "default",
        }[kind],
        hop=hop_of(facts, reach.address),
        address=reach.address,
        also=(("clock-wrong", note("verdict.open-clock")),) if dated and not clock_agrees else (),
    )


def _kind(paper: _Paper) -> str:
    """Return what is wrong, the days first: they are so whoever has issued it."""
    if paper.now > paper.ends:
        return "expired"
    if paper.now < paper.begins:
        return "future"
    code, tls = paper.tls.verify_code, paper.tls
    if code in _ISSUER_UNKNOWN:
        return "incomplete" if len(tls.chain) <= 1 and tls.subject != tls.issuer else "untrusted"
    return _BY_CODE.get(code or 0, "weak" if tls.weak else "default")
