package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
)

const (
	aliceKey = "key-of-alice-0123456789"
	wallKey  = "key-of-the-wall-0123456789"
)

func TestKeysAreRead(t *testing.T) {
	t.Parallel()
	keys, err := server.ParseKeys(" alice=operator:" + aliceKey + ", wall = observer : " + wallKey + ",alice=operator:the=next:key-of-alice,")
	require.NoError(t, err)
	all, err := server.NewOperatorKeys(keys...)
	require.NoError(t, err)
	for token, want := range map[string]string{
		aliceKey: "alice operator true", wallKey: "wall observer true", "the=next:key-of-alice": "alice operator true",
		"": "  false", aliceKey + "x": "  false", "alice": "  false",
	} {
		name, role, ok := all.Match(token)
		require.Equal(t, want, fmt.Sprint(name, " ", role, " ", ok), token)
	}
	lines, err := server.ParseKeyLines("# who may\r\n\n  alice=operator:" + aliceKey + "\r\n  # the screen\nwall=observer:" + wallKey)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Equal(t, []string{"alice", aliceKey, "wall", wallKey}, []string{lines[0].Name, lines[0].Secret, lines[1].Name, lines[1].Secret})

	var none *server.OperatorKeys
	_, _, ok := none.Match(aliceKey)
	require.False(t, ok)
}

func TestKeysThatAreWrongAreNamedAndNotQuoted(t *testing.T) {
	t.Parallel()
	const good = "alice=operator:" + aliceKey
	for name, c := range map[string]struct{ text, want string }{
		"a key alone":             {"Zs3cr3tZs3cr3tZs3cr3t", "line 1: it is not name=role:KEY"},
		"no role":                 {"\nalice=Zs3cr3tZs3cr3tZs3cr3t", "line 2: it is not name=role:KEY"},
		"role and key swapped":    {good + "\nbob=Zs3cr3tZs3cr3tZs3cr3t:operator", "line 2: its role is neither operator nor observer"},
		"name and key swapped":    {"Zs3cr3tZs3cr3tZs3cr3t=operator:alice", "line 1: its name is not made of"},
		"unknown role":            {"bob=admin:Zs3cr3tZs3cr3tZs3cr3t", "line 1: its role is neither operator nor observer"},
		"name in capitals":        {"Bob=operator:Zs3cr3tZs3cr3tZs3cr3t", "line 1: its name is not made of 1 to 64 of a-z 0-9 _ . -"},
		"long name":               {strings.Repeat("b", 65) + "=operator:Zs3cr3tZs3cr3tZs3cr3t", "line 1: its name"},
		"short":                   {"bob=operator:Zs3cr3t", "line 1: its key has 7 bytes; it needs at least 16"},
		"long":                    {"bob=operator:" + strings.Repeat("Zs3cr3t", 100), "line 1: its key has 700 bytes; it may have 512 at most"},
		"no key":                  {"bob=operator:", "line 1: its key is missing"},
		"soon guessed":            {"bob=operator:ZZZZZZZZZZZZZZZZZ", "line 1: its key has fewer than 5 different characters"},
		"a blank":                 {"bob=operator:Zs3cr3tZs3cr3t Zs3cr3t", "line 1: its key has a blank"},
		"not ASCII":               {"bob=operator:Zs3cr3tZs3cr3t密钥", "line 1: its key has a blank, or a character that is not visible ASCII"},
		"one key of two names":    {"bob=operator:Zs3cr3tZs3cr3tZs3cr3t\n#\nann=operator:Zs3cr3tZs3cr3tZs3cr3t", "line 3: its key is that of line 1, which has another name or role"},
		"one key of two roles":    {"bob=operator:Zs3cr3tZs3cr3tZs3cr3t\nbob=observer:Zs3cr3tZs3cr3tZs3cr3t", "line 2: its key is that of line 1"},
		"nothing":                 {"\n# nobody\n", "there is no key in it"},
		"two faults":              {"x\nbob=operator:Zs3cr3t", "line 2: its key has 7 bytes"},
		"more than can be looked": {strings.Repeat(good+"\n", 1001), "there are 1001 keys"},
	} {
		_, err := server.ParseKeyLines(c.text)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "Zs3cr3t", name)
	}
	_, err := server.ParseKeys(good + ",bob=boss:Zs3cr3tZs3cr3tZs3cr3t")
	require.EqualError(t, err, "entry 2: its role is neither operator nor observer")
}

func TestKeysAreReplacedAllOrNone(t *testing.T) {
	t.Parallel()
	own := server.Key{Name: server.StandardOperator, Role: server.RoleOperator, Secret: "the key of the start"}
	all, err := server.NewOperatorKeys(own)
	require.NoError(t, err)
	works := func(tokens ...string) {
		t.Helper()
		for _, token := range []string{own.Secret, aliceKey, wallKey} {
			_, _, ok := all.Match(token)
			require.Equal(t, ok, strings.Contains(strings.Join(tokens, "\n"), token), token)
		}
	}
	lines := func(text string) []server.Key {
		keys, err := server.ParseKeyLines(text)
		require.NoError(t, err)
		return keys
	}
	works(own.Secret)
	require.NoError(t, all.Replace(lines("alice=operator:"+aliceKey)))
	works(own.Secret, aliceKey)
	require.NoError(t, all.Replace(lines("alice=operator:"+aliceKey+"\nalice=operator:"+wallKey)), "old and new at the same time")
	works(own.Secret, aliceKey, wallKey)
	require.NoError(t, all.Replace(lines("alice=operator:"+wallKey)))
	works(own.Secret, wallKey)
	require.Error(t, all.Replace([]server.Key{{Name: "bob", Role: server.RoleObserver, Secret: own.Secret}}))
	require.Error(t, all.Replace([]server.Key{{Name: "bob", Role: "boss", Secret: aliceKey}}))
	works(own.Secret, wallKey)
	require.NoError(t, all.Replace([]server.Key{own}), "the same once more")
	works(own.Secret)
}
