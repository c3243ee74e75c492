#!/usr/bin/env bash
# Fetches what two of the lab's recipes need and Debian does not have: Apache Kafka, from the usual repository of Maven
# (60 MB), and FerretDB, built by Go (some minutes). The tests go without. Needs mvn, java and go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
there="$PWD/.venv/lab"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cat >"$work/pom.xml" <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>lab</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>3.9.1</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$there/kafka"
version=v1.24.2 # a module does not hold what it takes its version from
module=$(go mod download -json "github.com/FerretDB/FerretDB@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -r "$module" "$work/ferretdb"
chmod -R u+w "$work/ferretdb"
echo "$version" >"$work/ferretdb/build/version/version.txt"
(cd "$work/ferretdb" && go build -o "$there/ferretdb" ./cmd/ferretdb)
