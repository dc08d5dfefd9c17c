#!/usr/bin/env bash
# Checks the sources without running the system. Each check that fails prints what repairs it.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
check() { # NAME REPAIR COMMAND...
	local name=$1 repair=$2 out
	shift 2
	if out=$("$@" 2>&1); then
		echo "ok    $name"
	else
		printf 'FAIL  %s\n%s\n      repair: %s\n' "$name" "$out" "$repair"
		failed=1
	fi
}

formatted() {
	local files
	files=$(git ls-files --cached --others --exclude-standard '*.go' | while read -r f; do
		[ ! -e "$f" ] || case $f in *zz_generated*|*.pb.go|pkg/generated/*) ;; *) echo "$f" ;; esac
	done | xargs -r gofmt -l)
	[ -z "$files" ] || { echo "$files"; return 1; }
}

scripts() {
	local bad=0 f
	while read -r f; do
		[ ! -e "$f" ] || bash -n "$f" || bad=1
	done < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
	return $bad
}

# Generated clients are the generators' matter.
static() {
	local packages
	mapfile -t packages < <(go list ./... | grep -v '/pkg/generated')
	go tool staticcheck "${packages[@]}"
}

check gofmt       'gofmt -w FILES'                                       formatted
check scripts     'correct the syntax'                                   scripts
check vet         'correct the code; go vet ./... shows it again'        go vet ./...
check staticcheck 'correct the code; go tool staticcheck ./...'          static
check logcheck    'name keys in lowerCamel, messages constant; go tool logcheck ./...' go tool logcheck ./...
check repository  'see the message; go test ./test/repo'                 go test -count=1 ./test/repo
check spec-report 'correct docs/spec or the test; make spec-report'      go run ./test/report
exit $failed
