package boot

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/localkey"
)

// TestLocalHandsOutTheKeyThatItMade to commands of the same user, for as long as it runs.
func TestLocalHandsOutTheKeyThatItMade(t *testing.T) {
	t.Parallel()
	p, c, folder := startLocal(t, modeNotes, []string{
		"PAIDUI_HTTP_ADDR=127.0.0.1:0", "PAIDUI_ADMIN_ADDR=127.0.0.1:0", "PAIDUI_LOG_LEVEL=warn", "PAIDUI_SHUTDOWN_DELAY=0s",
		"PAIDUI_URL=http://elsewhere", // of an operator's commands: no setting, and no mistake
	})
	file := filepath.Join(folder, localkey.Of("notes"))
	access, err := localkey.Read(file)
	require.NoError(t, err)
	require.Equal(t, c.base, access.URL)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, access.URL+"/v1/queues", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+access.Key)
	a, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, a.Body)
	require.NoError(t, err)
	require.NoError(t, a.Body.Close())
	require.Equal(t, http.StatusOK, a.StatusCode)
	p.Signal(syscall.SIGTERM)
	require.NoError(t, p.Exit())
	require.NoFileExists(t, file)
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	for _, entry := range left {
		require.NotContains(t, entry.Name(), "operator", "nothing temporary is left")
	}
}

// TestProgramTakesMoreCommands, which have flags and nothing of the settings.
func TestProgramTakesMoreCommands(t *testing.T) {
	t.Parallel()
	more := func() *cobra.Command {
		cmd := &cobra.Command{Use: "more", RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Println("more was called")
			return nil
		}}
		cmd.Flags().StringP("colour", "c", "", "")
		return cmd
	}
	for _, root := range []*cobra.Command{Program(sampleApp(t), more()), Command(sampleApp(t), "local")} {
		if found, _, err := root.Find([]string{"more"}); err != nil || found == root {
			root.AddCommand(more())
		}
		out, err := execute(t, root, "more", "-c", "red")
		require.NoError(t, err)
		require.Equal(t, "more was called\n", out)
		_, err = execute(t, root, "more", "--config", "x")
		require.ErrorContains(t, err, "unknown flag: --config")
	}
}
