package boot

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionOf(t *testing.T) {
	t.Parallel()
	vcs := func(revision, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}
	}
	for _, c := range []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{}, "devel"},
		{debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs("0123456789abcdef", "false")}, "0123456789ab"},
		{debug.BuildInfo{Settings: vcs("0123456789abcdef", "true")}, "0123456789ab-dirty"},
		{debug.BuildInfo{Settings: vcs("0123", "false")}, "0123"},
	} {
		require.Equal(t, c.want, versionOf(&c.info))
	}
	require.NotEmpty(t, Version())
}

// The linker's flag must keep naming the variable that exists.
func TestVersionOfTheLinker(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "child")
	build := exec.Command("go", "test", "-c", "-o", binary,
		"-ldflags", "-X github.com/paidui/paidui/deploy/boot.version=v9.8.7", ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	run := exec.Command(binary, "--version")
	run.Env = append(run.Environ(), childMode+"=clean")
	out, err = run.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "child v9.8.7\n", string(out))
}
