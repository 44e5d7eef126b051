package plainyaml

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPairs(t *testing.T) {
	t.Parallel()
	root, problems := Parse([]byte("a: 1\n'b c': {d: 2}\n5: x\na: 3\n"))
	require.Empty(t, problems)
	pairs, ok := Pairs(root)
	require.True(t, ok)
	var keys []string
	var lines []int
	var text []bool
	for _, pair := range pairs {
		keys, lines, text = append(keys, pair.Key), append(lines, pair.Line), append(text, pair.IsText)
	}
	require.Equal(t, []string{"a", "b c", "5", "a"}, keys)
	require.Equal(t, []int{1, 2, 3, 4}, lines)
	require.Equal(t, []bool{true, true, false, true}, text)
	one, _ := Parse([]byte("a: 1"))
	pairs, ok = Pairs(one)
	require.True(t, ok, "a mapping of one pair")
	require.Len(t, pairs, 1)
	_, ok = Pairs(value(t, "a: [1]"))
	require.False(t, ok)
}

func TestLineAt(t *testing.T) {
	t.Parallel()
	root, problems := Parse([]byte("first: 0\non_success:\n  - task: x\n    args:\n      n: 1\n  - {task: y}\n"))
	require.Empty(t, problems)
	for path, want := range map[string]int{
		"first": 1, "on_success": 2, "on_success[0]": 3, "on_success[0].args": 4, "on_success[0].args.n": 5, "on_success[1].task": 6,
		"on_success.1": 6, "on_success[0].args.m": 4, "on_success[2]": 2, "none": 7, "": 7, "first.x": 1,
	} {
		require.Equal(t, want, LineAt(root, path, 7), path)
	}
}
