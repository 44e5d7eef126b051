package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Ports stay below the kernel's ephemeral ones (32768 and up on Linux): one of those could be taken by any outgoing
// connection while its server restarts, and a client that redials a dead server there may even end up connected to itself.
// The nodes of a Redis Cluster listen on a second port, 10,000 above theirs, which is therefore nobody's.
const (
	lowPort, highPort = 10000, 20000
	blockPorts        = 100
)

var ports = portBlocks{folder: os.TempDir()}

// portBlocks gives ports from blocks that are locked for as long as this process lives, so that test processes that run
// at the same time never share one, not even while its server restarts.
type portBlocks struct {
	folder string // of the locks

	mu        sync.Mutex
	locks     []*os.File
	blocks    []int // their first ports, the one in use last
	next, end int   // of that one
}

// FreePort returns a TCP port of 127.0.0.1 on which nothing listens. While this process runs it is given to no other, and
// not to this one again before some thousand more.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := FindPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// FindPort is FreePort outside tests.
func FindPort() (int, error) {
	const tries = 3 * blockPorts
	var last error
	for range tries {
		port, err := ports.take()
		if err != nil {
			return 0, err
		}
		if last = probe(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1: %w", last)
}

// probe returns nil if a server may listen at the address, and nothing does.
func probe(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if err := ln.Close(); err != nil {
		return err
	}
	// A program that is being started meanwhile has a copy of the socket for a moment, and still listens.
	for range 1000 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil
		}
		_ = conn.Close()
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("something else listens at %s", addr)
}

func (p *portBlocks) take() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == p.end {
		first, err := p.lock()
		if err != nil && len(p.blocks) > 0 { // very many were taken
			first, err = p.blocks[0], nil
			p.blocks = p.blocks[1:]
		}
		if err != nil {
			return 0, err
		}
		p.blocks = append(p.blocks, first)
		p.next, p.end = first, first+blockPorts
	}
	p.next++
	return p.next - 1, nil
}

// lock takes a block that no process has, any of them: where one has just ended, connections may linger.
func (p *portBlocks) lock() (first int, err error) {
	const blocks = (highPort - lowPort) / blockPorts
	for _, i := range rand.Perm(blocks) {
		first = lowPort + i*blockPorts
		var file *os.File
		file, err = openLocked(filepath.Join(p.folder, fmt.Sprintf("paidui-ports-%d.lock", first)),
			os.O_CREATE|os.O_RDWR, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			p.locks = append(p.locks, file)
			return first, nil
		}
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1: all %d blocks are taken: %w", blocks, err)
}
