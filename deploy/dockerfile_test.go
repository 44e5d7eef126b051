package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instruction is one logical line of a Dockerfile.
type instruction struct {
	name, args string
}

// dockerfile reads deploy/Dockerfile: comments dropped, continued lines joined.
func dockerfile(t *testing.T) []instruction {
	t.Helper()
	raw, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(string(raw), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	var all []instruction
	for line := range strings.Lines(text) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" {
			require.Contains(t, []string{"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "CMD"}, name)
			all = append(all, instruction{name, strings.TrimSpace(args)})
		}
	}
	return all
}

// stage is the instructions of the nth FROM, itself first.
func stage(all []instruction, n int) []instruction {
	var found []instruction
	at := -1
	for _, in := range all {
		if in.name == "FROM" {
			at++
		}
		if at == n {
			found = append(found, in)
		}
	}
	return found
}

func last(all []instruction, name string) string {
	value := ""
	for _, in := range all {
		if in.name == name {
			value = in.args
		}
	}
	return value
}

func TestDockerfileSourcesExist(t *testing.T) {
	ignored, err := os.ReadFile("../.dockerignore")
	require.NoError(t, err)
	copied := map[string]bool{}
	for _, in := range dockerfile(t) {
		if in.name != "COPY" || strings.HasPrefix(in.args, "--from=") {
			continue
		}
		words := strings.Fields(in.args)
		require.GreaterOrEqual(t, len(words), 2, in.args)
		for _, source := range words[:len(words)-1] {
			_, err := os.Stat(filepath.Join("..", source))
			require.NoError(t, err)
			require.NotContains(t, strings.Fields(string(ignored)), source)
			copied[source] = true
		}
	}
	for _, needed := range []string{"go.mod", "go.sum", "api", "worker", "scheduler", "tasks", "models", "deploy"} {
		require.True(t, copied[needed], "%s is not copied into the image", needed)
	}
}

func TestDockerfileBuildsEveryProgram(t *testing.T) {
	all := dockerfile(t)
	build, image := stage(all, 0), stage(all, 1)
	require.Empty(t, stage(all, 2))

	run := last(build, "RUN")
	require.Contains(t, run, "CGO_ENABLED=0")
	require.Contains(t, run, "-X github.com/paidui/paidui/deploy/boot.version=$VERSION")
	raw, err := os.ReadFile("boot/run_version.go")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^var version string$`, string(raw), "the linker has nothing to set")

	built := regexp.MustCompile(`-o /out/(\S+) \./(\S+)`).FindAllStringSubmatch(run, -1)
	require.Len(t, built, 4)
	shipped := strings.Join(copies(image), " ")
	for _, match := range built {
		source, err := os.ReadFile(filepath.Join("..", match[2], "main.go"))
		require.NoError(t, err)
		require.Contains(t, string(source), "package main")
		require.Contains(t, strings.Fields(shipped), "/out/"+match[1])
	}
	gomod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(gomod)
	require.Contains(t, build[0].args, "golang:"+string(version[1])+"-")
}

func copies(all []instruction) []string {
	var found []string
	for _, in := range all {
		if in.name == "COPY" {
			found = append(found, in.args)
		}
	}
	return found
}

func TestDockerfileRunsWithoutRights(t *testing.T) {
	image := stage(dockerfile(t), 1)
	require.Regexp(t, `^[1-9]\d*:[1-9]\d*$`, last(image, "USER"), "by number, so that a platform can see that it is not root")
	for _, in := range image {
		require.NotEqual(t, "RUN", in.name, "the image has no shell")
	}
	require.Regexp(t, `^\["/usr/local/bin/api"\]$`, last(image, "CMD"))
	variables := regexp.MustCompile(`PAIDUI_[A-Z_]+`).FindAllString(last(image, "ENV"), -1)
	require.NotEmpty(t, variables)
	require.Subset(t, knownVariables(t), variables)
	require.Contains(t, last(image, "ENV"), "PAIDUI_SCHEDULES=/etc/paidui/schedules.yaml")
}
