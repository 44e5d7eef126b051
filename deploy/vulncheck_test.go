package deploy_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVulncheckWithAndWithoutItsDatabase runs the script with a go command that says how it is called, and fails as
// govulncheck does when it has found something.
func TestVulncheckWithAndWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\necho \"called: $*\"\nexit 1\n"), 0o700))
	vulncheck := func(database string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "./vulncheck.sh")
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GOVULNDB="+database, "GOVULNDB_TIMEOUT=60", "no_proxy=127.0.0.1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	database := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index/db.json" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer database.Close()
	for _, reached := range []string{database.URL, "file:///var/lib/vulndb"} {
		out, err := vulncheck(reached)
		require.Error(t, err, "what it finds fails: %s", out)
		require.Regexp(t, `^called: run golang\.org/x/vuln/cmd/govulncheck@v\S+ -db `+reached+` \./\.\.\.\n$`, out)
	}
	database.Close()
	out, err := vulncheck(database.URL)
	require.NoError(t, err, out)
	require.Regexp(t, `^govulncheck: not run, `+database.URL+` cannot be reached: .*\n$`, out)
}
