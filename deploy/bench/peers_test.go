package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPeers(t *testing.T) {
	t.Parallel()
	l, err := newLab(options{quick: true, logLevel: "error"})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.close()) }()

	script := filepath.Join(t.TempDir(), "peer.sh")
	text := `[ "$1" = --check ] || echo '{"enqueue": '"$2"', "other": 1}'`
	require.NoError(t, os.WriteFile(script, []byte(text), 0o600))
	p := peer{name: "sh", interpreters: []string{"no-such-program", "sh"}, script: script, tasks: 70}
	interpreter, ok := p.find(t.Context())
	require.True(t, ok)
	figures, err := l.measurePeer(t.Context(), p, interpreter)
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"enqueue": 7, "other": 1}, figures)
	results := []result{{Name: "run"}, {Name: "enqueue"}}
	merge(results, p.name, figures)
	require.Equal(t, []result{{Name: "run"}, {Name: "enqueue", Peers: map[string]float64{"sh": 7}}}, results)

	require.NoError(t, os.WriteFile(script, []byte("echo no disk >&2; exit 3"), 0o600))
	_, ok = p.find(t.Context())
	require.False(t, ok)
	_, err = l.measurePeer(t.Context(), p, interpreter)
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no disk")

	var progress bytes.Buffer
	require.NoError(t, addPeers(t.Context(), l, t.TempDir(), results, &progress), "without scripts nothing is installed")
	require.Contains(t, progress.String(), "[celery] not installed: apt-get install python3-celery python3-redis\n")
	require.Contains(t, progress.String(), "[bullmq] not installed: npm install --prefix ")
}
