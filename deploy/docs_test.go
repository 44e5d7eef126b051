package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSecurityNamesTestsThatExist holds each row of the threat model's doors to tests.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/security.md")
	require.NoError(t, err)
	_, doors, found := strings.Cut(string(text), "\n## Doors\n")
	require.True(t, found)
	doors, _, found = strings.Cut(doors, "\n## ")
	require.True(t, found)
	named := regexp.MustCompile("`(?:([a-z0-9/]+): )?(Test[A-Za-z0-9_]+)`")
	rows := strings.Split(strings.TrimSpace(doors), "\n")[2:]
	require.NotEmpty(t, rows)
	for _, row := range rows {
		tests := named.FindAllStringSubmatch(row, -1)
		require.NotEmpty(t, tests, "nothing shows: %s", row)
		folder := ""
		for _, test := range tests {
			if test[1] != "" {
				folder = test[1]
			}
			require.True(t, strings.Contains(testsOf(t, folder), "func "+test[2]+"(t *testing.T)"), "%s has no %s", folder, test[2])
		}
	}
}

// testsOf is the text of a package's tests.
func testsOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}
