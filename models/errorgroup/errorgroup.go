// Package errorgroup tells which errors are of one kind. Normal takes out of an error's text what differs from one occurrence to
// the next, and Of names what is left. Both are pure: what they answer for a text is stored, and does not change with a build.
package errorgroup

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxNormal bounds what Normal returns, in characters.
	MaxNormal = 255
	// maxRead is how much of a text Normal reads, in bytes.
	maxRead = 4 << 10
	// idBytes of a hash are an id.
	idBytes = 8
)

// IDLength is the length of an id, which is made of lower-case hexadecimal digits.
const IDLength = 2 * idBytes

// Of is the id of the group of an error, and its normal form. An empty text is a group, too.
func Of(text string) (id, normal string) {
	normal = Normal(text)
	return IDOf(normal), normal
}

// IDOf is the id of the group that has a normal form.
func IDOf(normal string) string {
	sum := sha256.Sum256([]byte(normal))
	return hex.EncodeToString(sum[:idBytes])
}

// ValidID tells whether a text has the form of an id.
func ValidID(id string) bool {
	return len(id) == IDLength && strings.Trim(id, "0123456789abcdef") == ""
}

// Normal is an error's text with placeholders for what differs from one occurrence to the next:
//
//	{url}      what has a scheme and "://"
//	{email}    name@host
//	{address}  an IP address, with or without a port, and a host's name with a port
//	{id}       a UUID, with what is before and after it in the word, as the queue of a task's id; and 16 or more letters and
//	           digits, mixed, as of a ULID or a token
//	{hex}      0x and hexadecimal digits; and 8 or more hexadecimal digits, at least one of each kind
//	{n}        a number: a run of digits with its sign and fraction; also within a word, as in shard-7
//	{quoted}   what stands between quotes of any script
//
// Of a panic it takes the first line; of others, all lines as one. White space becomes one space, and what is longer than
// MaxNormal is cut off.
func Normal(text string) string {
	if len(text) > maxRead {
		text = text[:maxRead]
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	if strings.HasPrefix(text, "panic: ") {
		text, _, _ = strings.Cut(text, "\n")
	}
	n := normaliser{rest: text}
	for n.rest != "" && n.size < MaxNormal {
		n.step()
	}
	return cut(strings.TrimSpace(n.out.String()))
}

func cut(text string) string {
	if utf8.RuneCountInString(text) <= MaxNormal {
		return text
	}
	return strings.TrimSpace(string([]rune(text)[:MaxNormal]))
}

// normaliser reads a text from left to right.
type normaliser struct {
	rest string
	out  strings.Builder
	size int  // characters of out
	last rune // of out
}

func (n *normaliser) write(text string) {
	n.out.WriteString(text)
	n.size += utf8.RuneCountInString(text)
	n.last, _ = utf8.DecodeLastRuneInString(text)
}

// step takes the next quoted part, word, or character.
func (n *normaliser) step() {
	if inside, ok := quoted(n.rest, n.last); ok {
		n.write("{quoted}")
		n.rest = n.rest[inside:]
		return
	}
	if size := ipv6InBrackets(n.rest); size > 0 {
		n.write("{address}")
		n.rest = n.rest[size:]
		return
	}
	if size := wordLength(n.rest); size > 0 {
		if url := urlLength(n.rest, size); url > 0 {
			n.write("{url}")
			n.rest = n.rest[url:]
			return
		}
		word := n.rest[:size]
		n.rest = n.rest[size:]
		body := strings.TrimRight(word, ".:@-")
		n.word(body)
		if body != word {
			n.write(word[len(body):])
		}
		return
	}
	r, size := utf8.DecodeRuneInString(n.rest)
	n.rest = n.rest[size:]
	switch {
	case unicode.IsSpace(r) || unicode.IsControl(r):
		if n.last != ' ' && n.size > 0 {
			n.write(" ")
		}
	case unicode.IsDigit(r): // of another script
		if !strings.HasSuffix(n.out.String(), "{n}") {
			n.write("{n}")
		}
	default:
		n.write(string(r))
	}
}

// word writes one word without its punctuation at the end.
func (n *normaliser) word(word string) {
	switch {
	case word == "":
	case isEmail(word):
		n.write("{email}")
	case isAddress(word):
		n.write("{address}")
	case hasUUID(word):
		n.write("{id}")
	default:
		n.parts(word)
	}
}

// parts writes a word that is none as a whole, its runs of letters and digits one by one.
func (n *normaliser) parts(word string) {
	for word != "" {
		size := runLength(word)
		if size == 0 {
			if sign := signLength(word, n.last); sign == 0 {
				n.write(word[:1])
			}
			word = word[1:]
			continue
		}
		run := word[:size]
		word = word[size:]
		switch {
		case isHex(run):
			n.write("{hex}")
		case isToken(run):
			n.write("{id}")
		default:
			word = word[n.numbers(run, word):]
		}
	}
}

// numbers writes a run of letters and digits with placeholders for the digits. It tells how many bytes behind the run are the
// fraction of its last number.
func (n *normaliser) numbers(run, behind string) (fraction int) {
	for i := 0; i < len(run); {
		end := i
		for end < len(run) && isDigit(run[end]) {
			end++
		}
		if end == i {
			n.write(run[i : i+1])
			i++
			continue
		}
		n.write("{n}")
		if end == len(run) {
			if len(behind) > 1 && behind[0] == '.' && isDigit(behind[1]) {
				fraction++
				for fraction < len(behind) && isDigit(behind[fraction]) {
					fraction++
				}
			}
		}
		i = end
	}
	return fraction
}

// signLength is 1 when a word begins with the sign of a number.
func signLength(word string, before rune) int {
	if len(word) > 1 && (word[0] == '-' || word[0] == '+') && isDigit(word[1]) && !unicode.IsLetter(before) && before != '}' {
		return 1
	}
	return 0
}
