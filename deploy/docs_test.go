package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// A test as the documents name it, perhaps behind its package.
var namedTest = regexp.MustCompile("`(?:([a-z0-9/]+): )?(Test[A-Z][A-Za-z0-9_]+)`")

// TestSecurityNamesTests holds each row of the threat model's doors to tests.
func TestSecurityNamesTests(t *testing.T) {
	t.Parallel()
	rows := strings.Split(strings.TrimSpace(section(t, "docs/security.md", "Doors")), "\n")[2:]
	require.NotEmpty(t, rows)
	for _, row := range rows {
		requireTests(t, row)
	}
}

// TestGuaranteesNameTests holds each promise to tests.
func TestGuaranteesNameTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/guarantees.md")
	require.NoError(t, err)
	promises := regexp.MustCompile(`(?m)^## (\d+\. .*)$`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, promises, 10)
	for _, promise := range promises {
		requireTests(t, section(t, "docs/guarantees.md", promise[1]))
	}
	for _, further := range strings.Split(strings.TrimSpace(section(t, "docs/guarantees.md", "Further guarantees")), "\n\n") {
		requireTests(t, further)
	}
}

// requireTests wants a part of a document to name a test with its package.
func requireTests(t *testing.T, part string) {
	t.Helper()
	named := namedTest.FindStringSubmatch(part)
	require.NotNil(t, named, "nothing shows: %s", part)
	require.NotEmpty(t, named[1], "the package is missing: %s", part)
}

// TestDocsNameTestsThatExist is about every test that a document names, in the package that was named last before it in
// its paragraph or row, or in any when none was.
func TestDocsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	all := testsOf(t, "*", "*/*", "*/*/*")
	paragraphs := regexp.MustCompile(`\n\n|\n\|`)
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, part := range paragraphs.Split(string(text), -1) {
			tests := all
			for _, named := range namedTest.FindAllStringSubmatch(strings.ReplaceAll(part, "\n", " "), -1) {
				if named[2] == "TestName" || named[2] == "TestMain" {
					continue
				}
				if named[1] != "" {
					tests = testsOf(t, named[1])
				}
				require.True(t, tests[named[2]], "%s: no test %s", file, named[0])
			}
		}
	}
}

// testsOf are the names of the tests in folders.
func testsOf(t *testing.T, folders ...string) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
				tests[found[1]] = true
			}
		}
	}
	return tests
}

// TestDocsNameFilesThatExist is about paths from the repository's top, in backquotes; stars stand for any text.
func TestDocsNameFilesThatExist(t *testing.T) {
	t.Parallel()
	path := regexp.MustCompile("`((?:api|worker|scheduler|tasks|models|deploy)/[A-Za-z0-9_./*-]+)`")
	examples := []string{"tasks/greet/greet.go", "models/migrations/NNNNN_name.sql"}
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, named := range path.FindAllStringSubmatch(string(text), -1) {
			found, err := filepath.Glob(filepath.Join("..", named[1]))
			require.NoError(t, err)
			if len(found) == 0 {
				require.Contains(t, examples, named[1], file)
			}
		}
	}
}

// TestLinksOfDocsLeadSomewhere is about relative links, and what they have behind '#'.
func TestLinksOfDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	link, code := regexp.MustCompile(`\]\(([^)\s]+)\)`), regexp.MustCompile("`[^`\n]*`")
	for _, file := range documents(t) {
		links := link.FindAllStringSubmatch(code.ReplaceAllString(withoutCode(t, file), "code"), -1)
		require.NotEmpty(t, links, file)
		for _, found := range links {
			if strings.Contains(found[1], "://") {
				continue
			}
			target, anchor, hasAnchor := strings.Cut(found[1], "#")
			if target == "" {
				target = file
			} else {
				target = filepath.Join(filepath.Dir(file), target)
			}
			require.FileExists(t, target, "%s: %s", file, found[1])
			if hasAnchor {
				require.Contains(t, anchors(t, target), anchor, "%s: %s", file, found[1])
			}
		}
	}
}

// documents are the READMEs and the deeper pages.
func documents(t *testing.T) []string {
	t.Helper()
	readmes, err := filepath.Glob("../README*.md")
	require.NoError(t, err)
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, readmes)
	require.NotEmpty(t, pages)
	return append(readmes, pages...)
}

// section is the text below a heading of the second level.
func section(t *testing.T, file, heading string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, found, "%s has no section %s", file, heading)
	part, _, _ := strings.Cut(rest, "\n## ")
	return part
}

func withoutCode(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(string(text), "")
}

// anchors are those that GitHub gives a document's headings: lower case, without punctuation, dashes for blanks.
func anchors(t *testing.T, file string) []string {
	t.Helper()
	var list []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(withoutCode(t, file), -1) {
		list = append(list, strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, heading[1]))
	}
	return list
}
