package errorgroup

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quotes have the closing one of each.
var quotes = map[rune]rune{
	'"': '"', '\'': '\'', '`': '`', '“': '”', '‘': '’', '«': '»', '「': '」', '『': '』', '《': '》',
}

// maxQuoted bounds what stands between two quotes, in bytes.
const maxQuoted = 1 << 10

// quoted is the length of a quoted part at the beginning of a text, with its quotes. before is the character before it: a quote
// within a word is an apostrophe.
func quoted(text string, before rune) (size int, ok bool) {
	open, at := utf8.DecodeRuneInString(text)
	end, is := quotes[open]
	if !is || open == '\'' && (unicode.IsLetter(before) || unicode.IsDigit(before)) {
		return 0, false
	}
	inside := text[at:min(len(text), at+maxQuoted)]
	for i, r := range inside {
		switch {
		case r == '\\' && end == '"' && strings.HasPrefix(inside[i:], `\"`):
			continue
		case r != end, end == '"' && i > 0 && inside[i-1] == '\\':
			continue
		case r == '\'' && followedByLetter(inside[i+1:]):
			continue // an apostrophe
		}
		return at + i + utf8.RuneLen(r), true
	}
	return 0, false
}

func followedByLetter(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return r != utf8.RuneError && unicode.IsLetter(r) && r < utf8.RuneSelf
}

// wordLength is the length of the word at the beginning of a text: letters and digits of ASCII, and what may stand between them.
func wordLength(text string) int {
	i := 0
	for i < len(text) && (isAlnum(text[i]) || strings.IndexByte("._:-@%+", text[i]) >= 0) {
		i++
	}
	return i
}

// urlLength is the length of a URL at the beginning of a text whose first word has a length, 0 without one.
func urlLength(text string, word int) int {
	head, rest, found := text[:word], text[word:], false
	if head, found = strings.CutSuffix(head, ":"); !found || !strings.HasPrefix(rest, "//") || head == "" || !isLetter(head[0]) || strings.ContainsAny(head, "_:@%") {
		return 0
	}
	rest = rest[len("//"):]
	end := strings.IndexFunc(rest, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r >= utf8.RuneSelf || strings.ContainsRune("\"'`<>)}]", r)
	})
	if end < 0 {
		end = len(rest)
	}
	return len(head) + len("://") + len(strings.TrimRight(rest[:end], ".,:;!?"))
}

// ipv6InBrackets is the length of "[::1]" or "[::1]:80" at the beginning of a text, 0 without one.
func ipv6InBrackets(text string) int {
	if !strings.HasPrefix(text, "[") {
		return 0
	}
	end := strings.IndexByte(text[:min(len(text), 64)], ']')
	if end < 0 {
		return 0
	}
	if ip, err := netip.ParseAddr(text[1:end]); err != nil || !ip.Is6() {
		return 0
	}
	size := end + 1
	if strings.HasPrefix(text[size:], ":") {
		digits := size + 1
		for digits < len(text) && isDigit(text[digits]) {
			digits++
		}
		if digits > size+1 {
			size = digits
		}
	}
	return size
}

func isEmail(word string) bool {
	name, host, found := strings.Cut(word, "@")
	return found && name != "" && strings.Contains(host, ".") && !strings.ContainsAny(host, "@:") && isLetter(host[len(host)-1])
}

// sources end the names of files that a line's number stands behind.
var sources = []string{".go", ".py", ".js", ".ts", ".java", ".rs", ".rb", ".php", ".c", ".cpp", ".cc", ".h", ".sql", ".lua", ".yaml", ".yml", ".json", ".sh"}

func isAddress(word string) bool {
	if ip, err := netip.ParseAddr(word); err == nil {
		return ip.Is4() || strings.Count(word, ":") > 2 || strings.Contains(word, "::")
	}
	if _, err := netip.ParseAddrPort(word); err == nil {
		return true
	}
	at := strings.LastIndexByte(word, ':')
	if at <= 0 {
		return false
	}
	host, port := word[:at], word[at+1:]
	if len(port) < 2 || len(port) > 5 || strings.Trim(port, "0123456789") != "" || strings.ContainsAny(host, ":@%+_") || !isLetter(host[0]) {
		return false
	}
	for _, suffix := range sources {
		if strings.HasSuffix(host, suffix) {
			return false
		}
	}
	return host == "localhost" || strings.ContainsAny(host, ".-")
}

// hasUUID tells whether there is a UUID in a word.
func hasUUID(word string) bool {
	const length = 36
	for i := 0; i+length <= len(word); i++ {
		if isUUID(word[i : i+length]) {
			return true
		}
	}
	return false
}

func isUUID(text string) bool {
	for i := range len(text) {
		switch i {
		case 8, 13, 18, 23:
			if text[i] != '-' {
				return false
			}
		default:
			if !isHexDigit(text[i]) {
				return false
			}
		}
	}
	return true
}

// runLength is the length of the run of letters and digits at the beginning of a text.
func runLength(text string) int {
	i := 0
	for i < len(text) && isAlnum(text[i]) {
		i++
	}
	return i
}

const (
	leastHex   = 8
	leastToken = 16
)

func isHex(run string) bool {
	if rest, found := strings.CutPrefix(strings.ToLower(run), "0x"); found && rest != "" {
		return allHex(rest)
	}
	return len(run) >= leastHex && allHex(run) && mixed(run)
}

func allHex(run string) bool {
	for i := range len(run) {
		if !isHexDigit(run[i]) {
			return false
		}
	}
	return true
}

func isToken(run string) bool { return len(run) >= leastToken && mixed(run) }

// mixed tells whether there are letters and digits.
func mixed(run string) bool {
	letters, digits := false, false
	for i := range len(run) {
		if isDigit(run[i]) {
			digits = true
		} else {
			letters = true
		}
	}
	return letters && digits
}

func isDigit(c byte) bool    { return '0' <= c && c <= '9' }
func isLetter(c byte) bool   { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isAlnum(c byte) bool    { return isDigit(c) || isLetter(c) }
func isHexDigit(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }
