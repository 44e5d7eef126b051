package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretFile writes a file that the test's user alone may read.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o400))
	return path
}

// TestEverySecretCanStandInAFile holds it for the settings of today and for those that are added.
func TestEverySecretCanStandInAFile(t *testing.T) {
	t.Parallel()
	urls := map[string]string{
		"BROKER_URL": "redis://:" + password + "@h/1", "CACHE_URL": "redis://:" + password + "@h/2",
		"DATABASE_URL": "mysql://me:" + password + "@h/db",
	}
	var seen []string
	for _, s := range settings() {
		if !s.InFile {
			continue
		}
		short := strings.TrimPrefix(s.Variable, prefix)
		seen = append(seen, short)
		want := password
		if url := urls[short]; url != "" {
			want = url
		}
		path := secretFile(t, want+"\n")
		t.Run(short, func(t *testing.T) {
			t.Parallel()
			environ := slices.DeleteFunc(slices.Clone(required), func(entry string) bool { return strings.HasPrefix(entry, s.Variable+"=") })
			fromVariable, err := Load(Local, nil, append(environ, s.Variable+"_FILE="+path), nil)
			require.NoError(t, err)
			require.Equal(t, want, fmt.Sprint(reveal(schemaWith(nil).of(fromVariable).field(s).Interface())))
			require.Empty(t, fromVariable.Warnings())
			fromYAML, err := Parse(Local, "f.yaml", []byte(s.Key+"_file: "+path), environ, nil, nil)
			require.NoError(t, err)
			require.Equal(t, fromVariable, fromYAML)
			inPlace, err := Load(Local, nil, append(environ, s.Variable+"="+want), nil)
			require.NoError(t, err)
			require.Equal(t, inPlace, fromVariable)
		})
	}
	require.Subset(t, seen, []string{
		"JWT_SECRET", "OPERATOR_KEY", "BROKER_URL", "CACHE_URL", "DATABASE_URL",
	})
	_, err := Load(Local, nil, []string{"PAIDUI_HTTP_ADDR_FILE=" + secretFile(t, ":1")}, nil)
	require.ErrorContains(t, err, "PAIDUI_HTTP_ADDR_FILE (environment): there is no such setting")
}

func reveal(value any) any {
	switch value := value.(type) {
	case Secret:
		return value.Reveal()
	case URL:
		return value.Reveal()
	}
	return value
}

func TestFilesOfSecretsThatAreWrong(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	empty, lines := secretFile(t, " \n"), secretFile(t, "hunter2hunter2hunter2\nhunter2hunter2\n")
	large, short := secretFile(t, strings.Repeat("hunter2", maxSecret)), secretFile(t, "hunter2\n")
	for _, c := range []struct{ name, environ, yaml, want string }{
		{"missing", "PAIDUI_JWT_SECRET_FILE=" + missing, "",
			"PAIDUI_JWT_SECRET_FILE (jwt_secret_file, environment): read " + missing + ": no such file or directory"},
		{"missing, in YAML", "", "jwt_secret_file: " + missing,
			"PAIDUI_JWT_SECRET_FILE (jwt_secret_file, f.yaml:1): read " + missing + ": no such file or directory"},
		{"a folder", "PAIDUI_JWT_SECRET_FILE=" + filepath.Dir(missing), "", filepath.Dir(missing) + " is not a regular file"},
		{"a device", "PAIDUI_JWT_SECRET_FILE=" + os.DevNull, "", os.DevNull + " is not a regular file"},
		{"empty", "PAIDUI_JWT_SECRET_FILE=" + empty, "", empty + " is empty"},
		{"two lines", "PAIDUI_JWT_SECRET_FILE=" + lines, "", lines + " has more than one line"},
		{"large", "PAIDUI_JWT_SECRET_FILE=" + large, "", large + " is larger than 65536 bytes"},
		{"too short", "PAIDUI_JWT_SECRET_FILE=" + short, "", "PAIDUI_JWT_SECRET (jwt_secret, " + short + "): has 7 bytes; it needs at least 32"},
		{"no URL", "PAIDUI_BROKER_URL_FILE=" + short, "", "PAIDUI_BROKER_URL (broker_url, " + short + "): "},
		{"both", "PAIDUI_BROKER_URL_FILE=" + short, "broker_url: redis://h", "PAIDUI_BROKER_URL (broker_url, " + short + "): "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(API, "f.yaml", []byte(c.yaml), []string{c.environ, required[1]}, nil, nil)
			all := slices.DeleteFunc(reasons(t, err), func(line string) bool {
				return strings.HasPrefix(line, "PAIDUI_JWT_SECRET (jwt_secret): is required") && strings.Contains(c.environ, "BROKER")
			})
			require.Len(t, all, 1, "%v", all)
			require.Contains(t, all[0], c.want)
			require.True(t, strings.HasPrefix(all[0], "PAIDUI_"), all[0])
			require.NotContains(t, strings.ReplaceAll(err.Error(), short, ""), "hunter2")
		})
	}
}

func TestASecretAndItsFile(t *testing.T) {
	t.Parallel()
	file := secretFile(t, password)
	_, err := Load(API, nil, append([]string{"PAIDUI_JWT_SECRET_FILE=" + file}, required...), nil)
	require.Equal(t, []string{
		"PAIDUI_JWT_SECRET_FILE (jwt_secret_file, environment): is set beside PAIDUI_JWT_SECRET; set one of them",
	}, reasons(t, err))
	_, err = Parse(API, "f.yaml", []byte("operator_key: "+password+"\noperator_key_file: "+file), required[:1], nil, nil)
	require.Equal(t, []string{
		"PAIDUI_OPERATOR_KEY_FILE (operator_key_file, f.yaml:2): is set beside PAIDUI_OPERATOR_KEY; set one of them",
	}, reasons(t, err))

	// What is set to nothing is not set.
	cfg, err := Load(API, nil, []string{"PAIDUI_JWT_SECRET=", "PAIDUI_JWT_SECRET_FILE=" + file, "PAIDUI_OPERATOR_KEY_FILE=", required[1]}, nil)
	require.NoError(t, err)
	require.Equal(t, password, appOf(cfg).JWTSecret.Reveal())

	// Of two sources the one of higher precedence counts, whichever of the two forms it uses.
	cfg, err = Parse(API, "f.yaml", []byte("jwt_secret: "+strings.Repeat("another", 5)), []string{"PAIDUI_JWT_SECRET_FILE=" + file, required[1]}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, password, appOf(cfg).JWTSecret.Reveal())
	cfg, err = Parse(API, "f.yaml", []byte("jwt_secret_file: /none"), required, nil, nil)
	require.NoError(t, err, "the file does not count")
	require.Equal(t, strings.TrimPrefix(required[0], "PAIDUI_JWT_SECRET="), appOf(cfg).JWTSecret.Reveal())

	// A program needs no right to read what it does not use.
	_, err = Load(Worker, nil, []string{"PAIDUI_JWT_SECRET_FILE=/none"}, nil)
	require.NoError(t, err)
}

func TestFilesOfSecretsThatOthersMayRead(t *testing.T) {
	t.Parallel()
	for mode, open := range map[os.FileMode]bool{0o400: false, 0o640: false, 0o444: true, 0o642: true} {
		file := secretFile(t, password)
		require.NoError(t, os.Chmod(file, mode))
		cfg, err := Load(API, nil, []string{"PAIDUI_JWT_SECRET_FILE=" + file, required[1]}, nil)
		require.NoError(t, err)
		if !open {
			require.Empty(t, cfg.Warnings())
			continue
		}
		require.Len(t, cfg.Warnings(), 1)
		text := cfg.Warnings()[0].Error()
		require.Equal(t, fmt.Sprintf("PAIDUI_JWT_SECRET_FILE (jwt_secret_file, environment): "+
			"%s is open to every user of the machine (mode %04o); 0400 or 0440 is enough", file, mode), text)
	}
}
