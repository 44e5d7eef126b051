package errorgroup

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNormal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "",
		"  \n":                        "",
		"connection refused":          "connection refused",
		"article 17 is gone":          "article {n} is gone",
		"article -17.50 is gone":      "article {n} is gone",
		"took 1.5s, limit 300ms":      "took {n}s, limit {n}ms",
		"shard-7 of 12,000":           "shard-{n} of {n},{n}",
		"用户 42 不存在":                   "用户 {n} 不存在",
		"用户42不存在":                     "用户{n}不存在",
		"订单「A-17」已取消":                 "订单{quoted}已取消",
		"全角 １２３ 号":                    "全角 {n} 号",
		`no such user "ada"`:          "no such user {quoted}",
		`bad "a \"b\" c" here`:        "bad {quoted} here",
		"can't open 'x y' for `z`":    "can't open {quoted} for {quoted}",
		`an unclosed " stays`:         `an unclosed " stays`,
		"users' data isn't there":     "users' data isn't there",
		"pointer 0xc000123abc":        "pointer {hex}",
		"commit 3ef4a9c1 is unknown":  "commit {hex} is unknown",
		"deadbeef and 12345678":       "deadbeef and {n}",
		"token eyJhbGciOiJIUzI1NiJ9x": "token {id}",
		"lines\n\tof   one\r\nerror":  "lines of one error",
		"panic: index out of range [5] with length 3\ngoroutine 7":                  "panic: index out of range [{n}] with length {n}",
		"dial tcp 10.0.0.1:6379: connect: connection refused":                       "dial tcp {address}: connect: connection refused",
		"dial tcp [::1]:6379: i/o timeout":                                          "dial tcp {address}: i/o timeout",
		"dial tcp: lookup db-0.db.svc:3306: no such host":                           "dial tcp: lookup {address}: no such host",
		"no route to 2001:db8::1":                                                   "no route to {address}",
		"localhost:80 and 10.1.2.3 are away":                                        "{address} and {address} are away",
		"main.go:12: broken":                                                        "main.go:{n}: broken",
		"Get https://example.com/a?b=1&c=2: EOF":                                    "Get {url}: EOF",
		`Post "https://example.com/a/17": context deadline exceeded`:                "Post {quoted}: context deadline exceeded",
		"(see redis://:pw@h:1/2)":                                                   "(see {url})",
		"mail to ada.lovelace@example.com.":                                         "mail to {email}.",
		"task default_018f2a3b-1c2d-7e3f-8a4b-5c6d7e8f9a0b: gone":                   "task {id}: gone",
		"id=018F2A3B-1C2D-7E3F-8A4B-5C6D7E8F9A0B":                                   "id={id}",
		"at 2026-05-01T08:00:00Z":                                                   "at {n}-{n}-{n}T{n}:{n}:{n}Z",
		"Error 1062 (23000): Duplicate entry '17-4' for key 'orders.idx_user_good'": "Error {n} ({n}): Duplicate entry {quoted} for key {quoted}",
		"\x00\xff":     "\uFFFD",
		"a {n} b {id}": "a {n} b {id}",
	} {
		require.Equal(t, want, Normal(text), "%q", text)
	}
}

func TestNormalIsBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("word ", 1<<20), strings.Repeat("错误", 1<<18), strings.Repeat(`"`, 1<<20), strings.Repeat("a-", 1<<20),
		strings.Repeat("1", 1<<20), strings.Repeat("'", 1<<20), strings.Repeat("0123456789abcdef-", 1<<16), strings.Repeat("「", 1<<20),
	} {
		require.LessOrEqual(t, utf8.RuneCountInString(Normal(text)), MaxNormal)
	}
}

func TestGroupsHaveIDs(t *testing.T) {
	t.Parallel()
	one, normal := Of("article 17 is gone")
	other, _ := Of("article 4711 is gone")
	third, _ := Of("article is gone")
	require.Equal(t, "article {n} is gone", normal)
	require.Equal(t, one, other)
	require.NotEqual(t, one, third)
	// What is stored is found by later builds.
	require.Equal(t, "1b1ccdc2a70fb1e5", one)
	empty, _ := Of("")
	for _, id := range []string{one, third, empty} {
		require.True(t, ValidID(id), id)
	}
	for _, id := range []string{"", "x", strings.ToUpper(one), one + "0", one[:15] + "g"} {
		require.False(t, ValidID(id), id)
	}
}

// sound holds what is promised of every text.
func sound(t require.TestingT, text string) {
	normal := Normal(text)
	require.True(t, utf8.ValidString(normal))
	require.LessOrEqual(t, utf8.RuneCountInString(normal), MaxNormal)
	require.Equal(t, normal, strings.TrimSpace(normal))
	require.NotContains(t, normal, "  ")
	require.Equal(t, -1, strings.IndexFunc(normal, func(r rune) bool { return unicode.IsDigit(r) || unicode.IsControl(r) }), "%q of %q", normal, text)
	require.Equal(t, normal, Normal(text), "it is a function")
}

func TestNumbersMakeNoDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"article %", "timeout after %s", "shard-%", "(%)", "用户%", "a.b: %", "x=%"}), 1, 8).Draw(t, "words")
		text := strings.Join(words, " ")
		with := func(name string) string {
			return strings.ReplaceAll(text, "%", rapid.StringMatching(`[0-9]{1,7}(\.[0-9]{1,3})?`).Draw(t, name))
		}
		require.Equal(t, Normal(with("one")), Normal(with("other")))
		sound(t, text)
	})
}

func FuzzNormal(f *testing.F) {
	for _, text := range []string{"", "a 1", `"x`, "'a'b'", "http://", "a@b.c:1", "[::1]:", "0x", "1.2.3.4:5", "\xff", "「」", "a://b", "-1", "a-1.", "٣"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { sound(t, text) })
}
