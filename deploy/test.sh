#!/bin/sh
# Runs all tests: what make test does once the servers are installed.
#
# Most tests wait more than they compute: more of them run at once than there are processors, and those begin that wait longest.
# make lint has vet look at them. Compiler and tests collect their garbage less often, for a sixth of the time.
cd "$(dirname "$0")/.." || exit
export GOGC=300 GOMEMLIMIT=2GiB
# A program that the race detector looks at waits for a second at its end, for what other threads have to say.
export GORACE=atexit_sleep_ms=10
go_test='go test -parallel 6 -vet=off -timeout 14m'

# The race detector needs a C compiler. It leaves out what only computes, and would take a fifth of all time under it: SQLite's
# own code, which is C in Go's clothes, Lua and YAML. Of other packages it may not: what they instantiate of sync and atomic,
# the whole program shares. deploy/testenv/build.go has the same.
race=
if echo '#include <stdlib.h>' | ${CC:-gcc} -E - >/dev/null 2>&1; then
	export CGO_ENABLED=1
	race='-race'
	for computes in modernc.org/sqlite/lib github.com/yuin/gopher-lua/... go.yaml.in/yaml/v3; do
		race="$race -gcflags=$computes=-race=false"
	done
fi

# What is explored step by step draws a quarter of its cases under the race detector, which finds nothing there, and all of them
# without it.
explored='^(TestNoOldValueStays|TestNearIsNeverStaleAfterAMessage|TestCountsAreExact|TestAListIsTrueOnceAllTasksHaveRun'
explored="$explored|TestWhateverComesBetween|TestOrderMakesNoDifference|TestBundlesGiveBackWhatTheyWereGiven"
explored="$explored|TestSearchFindsWhatMatches|TestSearchFindsTasksInBundles)$"

# tasks runs with the switches of the broker off, too. The broker's own tests have the race detector look at both ways.
beside() {
	PAIDUI_BROKER_PIPELINING=false PAIDUI_BROKER_WAKE_UP=false $go_test ./tasks || return
	if [ -n "$race" ]; then
		$go_test -p 1 -run "$explored" ./models/cache ./tasks/counter ./tasks/following ./tasks/history
	fi
}

said=$(mktemp) || exit
trap 'rm -f "$said"' EXIT
beside >"$said" 2>&1 &
beside=$!
all="$go_test $race -p 4 ./deploy/chaos ./deploy/e2e ./worker/pool ./api/shop ./..."
echo "$all"
$all
main=$?
wait $beside
beside=$?
echo 'and beside them:'
cat "$said"
[ $main = 0 ] && [ $beside = 0 ]
