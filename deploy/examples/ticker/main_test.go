package main

import (
	"bufio"
	"context"
	"io"
	"testing"
)

func TestItCheers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, "", out) }()
	lines := bufio.NewScanner(said)
	for range 2 {
		if !lines.Scan() || lines.Text() != "Well done, gopher!" {
			t.Fatalf("got %q, %v", lines.Text(), lines.Err())
		}
	}
	go io.Copy(io.Discard, said) // a tick may be under way
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
