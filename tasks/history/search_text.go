package history

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// The bounds of Query.Text.
const (
	MaxText  = 200 // characters
	MaxWords = 10  // words and phrases
)

// searchedJSON is how much of a task's arguments, and of its result, a search for words reads, in characters.
const searchedJSON = 64 << 10

// textQuery is Query.Text as it is compared: each in lower case.
type textQuery []string

// parseText takes the words and the quoted phrases of a search apart.
func parseText(text string) (textQuery, error) {
	if text == "" {
		return nil, nil
	}
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > MaxText || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, queryErrorf("q", "want at most %d characters, and no control characters", MaxText)
	}
	var terms textQuery
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		var term string
		var closed bool
		switch {
		case strings.HasPrefix(rest, `"`):
			term, rest, closed = strings.Cut(rest[len(`"`):], `"`)
		case strings.HasPrefix(rest, "“"):
			term, rest, closed = strings.Cut(rest[len("“"):], "”")
		default:
			end := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '“' })
			if end < 0 {
				end = len(rest)
			}
			term, rest, closed = rest[:end], rest[end:], true
		}
		if !closed {
			return nil, queryErrorf("q", "a quote is not closed")
		}
		if term = strings.TrimSpace(term); term != "" {
			terms = append(terms, strings.ToLower(term))
		}
	}
	switch {
	case len(terms) == 0:
		return nil, queryErrorf("q", "want at least one word")
	case len(terms) > MaxWords:
		return nil, queryErrorf("q", "want at most %d words and phrases", MaxWords)
	}
	return terms, nil
}

// matches tells whether each term is in the arguments, the result or the error. What is encrypted has none.
func (q textQuery) matches(r *models.TaskRecord) bool {
	var texts []string
	for _, text := range []string{r.Args, r.Result} {
		if text != "" && !tasks.IsEncrypted(text) {
			texts = append(texts, strings.ToLower(plainJSON(text)))
		}
	}
	if r.Error != "" && !tasks.IsEncrypted(r.Error) {
		texts = append(texts, strings.ToLower(r.Error))
	}
	for _, term := range q {
		found := false
		for _, text := range texts {
			if strings.Contains(text, term) {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// plainJSON is JSON with the characters that its escapes stand for, so that a search finds what a reader sees.
func plainJSON(text string) string {
	at := strings.IndexByte(text, '\\')
	if at < 0 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for at >= 0 {
		b.WriteString(text[:at])
		text = text[at:]
		size := unescape(&b, text)
		text = text[size:]
		at = strings.IndexByte(text, '\\')
	}
	b.WriteString(text)
	return b.String()
}

// unescape writes what the escape at the beginning of a text stands for, and returns the escape's length.
func unescape(b *strings.Builder, text string) int {
	if len(text) < 2 {
		b.WriteString(text)
		return len(text)
	}
	switch c := text[1]; c {
	case 'n', 't', 'r', 'b', 'f':
		b.WriteByte(' ')
	case 'u':
		return unescapeRune(b, text)
	default:
		b.WriteByte(c)
	}
	return 2
}

func unescapeRune(b *strings.Builder, text string) int {
	const size = 6
	r, ok := escapedRune(text)
	if !ok {
		b.WriteByte('u')
		return 2
	}
	if utf16.IsSurrogate(r) {
		if low, ok := escapedRune(text[size:]); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				b.WriteRune(both)
				return 2 * size
			}
		}
	}
	b.WriteRune(r) // a surrogate alone becomes U+FFFD
	return size
}

// escapedRune reads \uXXXX.
func escapedRune(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[2:6], 16, 32)
	return rune(n), err == nil
}
