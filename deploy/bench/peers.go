package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// peer is another queue. Its script measures on a Redis that it is given, and prints a JSON object of figures by the
// names of our metrics; with --check it does nothing but load what it needs.
type peer struct {
	name         string
	interpreters []string // the first that has what the script needs is taken
	script       string
	install      string // the command that installs it
	tasks        int    // of one run; --quick takes a tenth
}

func peers(folder string) []peer {
	return []peer{
		{
			// Debian's modules belong to Debian's Python, which need not be the first in PATH.
			name: "celery", interpreters: []string{"python3", "/usr/bin/python3"},
			script: filepath.Join(folder, "celery_bench.py"), install: "apt-get install python3-celery python3-redis", tasks: 20_000,
		},
		{
			name: "bullmq", interpreters: []string{"node"},
			script: filepath.Join(folder, "bullmq_bench.cjs"), install: "npm install --prefix " + folder, tasks: 200_000,
		},
	}
}

// addPeers measures the peers that are installed and adds what they reached to our results of the same names.
func addPeers(ctx context.Context, l *lab, folder string, results []result, progress io.Writer) error {
	var errs []error
	for _, p := range peers(folder) {
		interpreter, ok := p.find(ctx)
		if !ok {
			fmt.Fprintf(progress, "[%s] not installed: %s\n", p.name, p.install)
			continue
		}
		begun := time.Now()
		fmt.Fprintf(progress, "[%s] the same work\n", p.name)
		figures, err := l.measurePeer(ctx, p, interpreter)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
			continue
		}
		fmt.Fprintf(progress, "      done (%v)\n", time.Since(begun).Round(100*time.Millisecond))
		merge(results, p.name, figures)
	}
	return errors.Join(errs...)
}

func (p peer) find(ctx context.Context) (interpreter string, ok bool) {
	for _, i := range p.interpreters {
		if exec.CommandContext(ctx, i, p.script, "--check").Run() == nil {
			return i, true
		}
	}
	return "", false
}

// merge adds a peer's figures to the results of the same names.
func merge(results []result, peer string, figures map[string]float64) {
	for i := range results {
		if v, ok := figures[results[i].Name]; ok {
			if results[i].Peers == nil {
				results[i].Peers = make(map[string]float64)
			}
			results[i].Peers[peer] = v
		}
	}
}

// measurePeer takes the medians of as many runs as our own rows have.
func (l *lab) measurePeer(ctx context.Context, p peer, interpreter string) (map[string]float64, error) {
	all := make(map[string][]float64)
	for range l.rounds() {
		if err := l.flush(ctx); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, interpreter, p.script, l.redisURL(brokerDB),
			strconv.Itoa(l.pick(p.tasks, p.tasks/10)), strconv.Itoa(l.pick(300, 50)))
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
		cmd.WaitDelay = 10 * time.Second
		var words bytes.Buffer
		cmd.Stderr = &words
		out, err := cmd.Output()
		if err != nil {
			return nil, causeOf(ctx, fmt.Errorf("%s: %w\n%s", p.script, err, words.Bytes()))
		}
		var figures map[string]float64
		if err := json.Unmarshal(out, &figures); err != nil {
			return nil, fmt.Errorf("%s: %w: %q", p.script, err, out)
		}
		for name, v := range figures {
			all[name] = append(all[name], v)
		}
	}
	medians := make(map[string]float64)
	for name, values := range all {
		medians[name] = median(values)
	}
	return medians, nil
}
