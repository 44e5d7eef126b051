package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// result is what came of one act.
type result struct {
	act      act
	book     *book
	evidence *evidence
	settled  time.Duration // how long it took to become quiet
	repaired []string      // what the reconciling tasks say
	findings []finding
}

// outcomes are what came of a run.
type outcomes struct {
	plan      plan
	results   []result
	timeline  []incident
	takeovers []time.Duration
	exits     map[string][]exit
}

func (o outcomes) findings() (all []finding) {
	for _, r := range o.results {
		all = append(all, r.findings...)
	}
	return all
}

// run does a plan and reports on it. Findings are an error, and so is whatever keeps it from judging.
func run(ctx context.Context, p plan, opt options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "paidui-chaos-")
	if err != nil {
		return err
	}
	done, err := perform(ctx, p, opt.bin, dir, out)
	report(out, done)
	if n := len(done.findings()); n > 0 {
		err = errors.Join(err, writeFindings(dir, done), fmt.Errorf("%d findings; the logs are in %s", n, dir))
	} else if err != nil {
		err = fmt.Errorf("%w; the logs are in %s", err, dir)
	}
	if err != nil || opt.keep {
		return err
	}
	return os.RemoveAll(dir)
}

// perform does all acts on a lab in the folder.
func perform(ctx context.Context, p plan, bin, dir string, out io.Writer) (done outcomes, err error) {
	done.plan = p
	l, err := newLab(ctx, bin, dir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	users, err := enroll(ctx, l, p.users)
	if err != nil {
		return done, err
	}
	s := newSaboteur(l)
	defer func() {
		done.timeline, done.takeovers, done.exits = s.timeline, s.watch.all(), make(map[string][]exit)
		for _, p := range l.programs {
			done.exits[p.name] = p.exits
		}
	}()
	for _, a := range p.acts {
		fmt.Fprintf(out, "%s  %s: %s, %d requests, %d faults\n", time.Now().UTC().Format(clock), a.name, a.length, len(a.requests), len(a.faults))
		r, err := play(ctx, l, s, p, a, users)
		done.results = append(done.results, r)
		if err != nil {
			return done, fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return done, nil
}

// play does one act: traffic and faults, then healing, quiet, and judgement.
func play(ctx context.Context, l *lab, s *saboteur, p plan, a act, users []user) (result, error) {
	g := newGenerator(l, p.seed, users)
	r := result{act: a, book: g.book, evidence: &evidence{Act: a.name}}
	if err := g.prepare(ctx, a); err != nil {
		return r, err
	}
	e, before := r.evidence, len(s.timeline)
	e.Begun = time.Now()
	var both sync.WaitGroup
	both.Go(func() { g.run(ctx, a) })
	both.Go(func() { s.run(ctx, a) })
	both.Wait()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	if err := s.heal(ctx); err != nil {
		return r, err
	}
	e.Healed = time.Now()
	for _, i := range s.timeline[before:] {
		if i.Fault.kind == faultFlush || i.Fault.kind == faultLose {
			e.Wipes = append(e.Wipes, span{i.Begun, i.Ended})
		}
	}
	notReady := l.awaitReady(ctx, 3*time.Minute)
	var err error
	if e.Restless, err = settle(ctx, l, r.book, e); err != nil {
		return r, err
	}
	if notReady != nil {
		e.Restless = append(e.Restless, "not ready: "+notReady.Error())
	}
	r.settled = time.Since(e.Healed)
	if r.repaired, err = reconcile(ctx, l); err != nil {
		e.Restless = append(e.Restless, err.Error())
	}
	pause(ctx, 2*time.Second) // what a process keeps of a cache lasts for a second
	if err := gather(ctx, l, r.book, e, users); err != nil {
		return r, err
	}
	if e.Trouble, e.Ran, err = readLogs(l); err != nil {
		return r, err
	}
	r.findings = judge(r.book, e)
	return r, nil
}
