package boot

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) {
	switch mode := os.Getenv(childMode); mode {
	case "":
	case modeNotes, modeBare:
		mainOf(mode)
	default:
		child(mode)
		return
	}
	testenv.Main(m)
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// textLogger logs everything to w.
func textLogger(t *testing.T, w io.Writer) *slog.Logger {
	t.Helper()
	logger, err := NewLogger(w, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	return logger
}
