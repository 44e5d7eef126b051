package main

import (
	"os"
	"testing"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/testenv"
)

// asProgram makes this test binary the program itself, as which rows start it again.
const asProgram = "BENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		boot.Execute(command())
	}
	testenv.Main(m)
}
