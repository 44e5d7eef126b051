package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// saboteur does the faults of a plan and undoes them.
type saboteur struct {
	lab   *lab
	watch *takeovers

	mu       sync.Mutex
	timeline []incident
	servers  map[string]*sync.Mutex // who stops a server has it for himself
}

// incident is a fault as it was done.
type incident struct {
	Begun, Ended time.Time
	Fault        fault
	Note         string // what went wrong with it; "" when nothing did
}

func newSaboteur(l *lab) *saboteur {
	return &saboteur{
		lab: l, watch: newTakeovers(l),
		servers: map[string]*sync.Mutex{"redis": new(sync.Mutex), "mysql": new(sync.Mutex)},
	}
}

// run does an act's faults and returns when the last is undone.
func (s *saboteur) run(ctx context.Context, a act) {
	var running sync.WaitGroup
	begun := time.Now()
	for _, f := range a.faults {
		if !pause(ctx, time.Until(begun.Add(f.at))) {
			break
		}
		running.Go(func() { s.do(ctx, f) })
	}
	running.Wait()
}

func (s *saboteur) do(ctx context.Context, f fault) {
	i := incident{Begun: time.Now(), Fault: f}
	if err := s.inflict(ctx, f); err != nil {
		i.Note = err.Error()
	}
	i.Ended = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeline = append(s.timeline, i)
}

// inflict does a fault, and undoes it when its time is over.
func (s *saboteur) inflict(ctx context.Context, f fault) error {
	switch f.kind {
	case faultKill, faultTerminate:
		signal := syscall.SIGKILL
		if f.kind == faultTerminate {
			signal = syscall.SIGTERM
		}
		if server, ok := s.servers[f.target]; ok {
			server.Lock()
			defer server.Unlock()
			return s.restart(ctx, f, signal)
		}
		s.end(ctx, f, signal)
		return nil
	case faultBusyKill:
		way := s.lab.program(f.target).mysql
		way.Stall(true)
		pause(ctx, 2*time.Second)
		s.end(ctx, f, syscall.SIGKILL)
		way.Cut()
		way.Stall(false)
		return nil
	case faultFreeze:
		p := s.lab.program(f.target)
		p.signal(syscall.SIGSTOP, 0)
		pause(ctx, f.length)
		p.signal(syscall.SIGCONT, 0)
		return nil
	case faultFull:
		return s.fill(ctx, f)
	case faultClients:
		return s.killClients(ctx, f)
	case faultFlush:
		return s.lab.broker.FlushAll(ctx).Err()
	case faultLose:
		s.servers["redis"].Lock()
		defer s.servers["redis"].Unlock()
		return s.lose(ctx, f)
	}
	return s.disturb(ctx, f)
}

// end signals a program, and watches what a worker had in hand.
func (s *saboteur) end(ctx context.Context, f fault, signal syscall.Signal) {
	p := s.lab.program(f.target)
	if signal == syscall.SIGKILL && strings.HasPrefix(p.name, "worker") {
		s.watch.begin(ctx, p.name)
	}
	p.signal(signal, f.length)
	pause(ctx, f.length)
}

// restart stops a server and starts it again.
func (s *saboteur) restart(ctx context.Context, f fault, signal syscall.Signal) error {
	start := s.lab.mysql.StartAgain
	switch {
	case f.target == "mysql":
		s.lab.mysql.Halt(signal)
	case signal == syscall.SIGKILL:
		s.lab.redis.Kill()
		start = s.lab.redis.StartAgain
	default:
		s.lab.redis.Stop()
		start = s.lab.redis.StartAgain
	}
	pause(ctx, f.length)
	return start()
}

// lose has Redis come back without its data.
func (s *saboteur) lose(ctx context.Context, f fault) error {
	s.lab.redis.Kill()
	if err := os.RemoveAll(filepath.Join(s.lab.dir, "appendonlydir")); err != nil {
		return fmt.Errorf("remove Redis's data: %w", err)
	}
	pause(ctx, f.length)
	return s.lab.redis.StartAgain()
}

// fill has Redis refuse what takes memory.
func (s *saboteur) fill(ctx context.Context, f fault) error {
	if err := s.lab.broker.ConfigSet(ctx, "maxmemory", "1mb").Err(); err != nil {
		return fmt.Errorf("have Redis full: %w", err)
	}
	pause(ctx, f.length)
	return s.lab.broker.ConfigSet(ctx, "maxmemory", "0").Err()
}

// killClients ends all connections from within a server.
func (s *saboteur) killClients(ctx context.Context, f fault) error {
	if f.target == "redis" {
		return s.lab.broker.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err()
	}
	var ids []int64
	db := s.lab.db.WithContext(ctx)
	err := db.Raw("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = 'paidui'").Scan(&ids).Error
	if err != nil {
		return fmt.Errorf("list MySQL's connections: %w", err)
	}
	for _, id := range ids {
		_ = db.Exec(fmt.Sprint("KILL ", id)).Error // it may have ended meanwhile
	}
	return nil
}
