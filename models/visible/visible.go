// Package visible tells text that people see as it is from text with characters that hide in it or turn it around.
package visible

import (
	"unicode"
	"unicode/utf8"
)

// Line reports whether s is UTF-8 on one line, with something to see and nothing Hidden.
func Line(s string) bool { return !Hidden(s) && Shown(s) }

// Shown reports whether s has a character that leaves ink by itself. A character that is newer than the tables does.
func Shown(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) && !unicode.Is(unicode.M, r) && !unseen(r) {
			return true
		}
	}
	return false
}

// Hidden reports whether s is not UTF-8, or has a character that cannot be seen or changes the place of others: control
// and format characters (line breaks, bidirectional marks, zero width spaces, tags), separators of lines and paragraphs,
// and fillers. White space is not hidden, nor are variation selectors, and a joiner where it makes one sign of two: in
// emoji, and in scripts that are written with it.
func Hidden(s string) bool {
	if !utf8.ValidString(s) {
		return true
	}
	var before rune
	for i, r := range s {
		if unseen(r) && !joins(before, r, firstRune(s[i+utf8.RuneLen(r):])) {
			return true
		}
		before = r
	}
	return false
}

// firstRune is 0 for "".
func firstRune(s string) rune {
	for _, r := range s {
		return r
	}
	return 0
}

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'

	mongolianVowelSeparator = '\u180e'
	brailleBlank            = '\u2800'
	emojiStyle              = '\ufe0f'
)

// unseen reports whether r has no width, no ink, or moves others.
func unseen(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == '\x7f'
	}
	return r == brailleBlank || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// joined are the scripts in which joiners and the like decide how neighbours are written.
var joined = []*unicode.RangeTable{
	unicode.Arabic, unicode.Bengali, unicode.Devanagari, unicode.Gujarati, unicode.Gurmukhi, unicode.Kannada, unicode.Khmer,
	unicode.Malayalam, unicode.Mongolian, unicode.Myanmar, unicode.Oriya, unicode.Phags_Pa, unicode.Sinhala, unicode.Syriac,
	unicode.Tamil, unicode.Telugu, unicode.Tibetan,
}

// joins reports whether r, between before and next, is what makes them one sign.
func joins(before, r, next rune) bool {
	switch r {
	case joiner:
		return emoji(before) && emoji(next) || unicode.In(before, joined...) && unicode.In(next, joined...)
	case nonJoiner:
		return unicode.In(before, joined...) && unicode.In(next, joined...)
	case mongolianVowelSeparator:
		return unicode.Is(unicode.Mongolian, before) && unicode.Is(unicode.Mongolian, next)
	}
	return false
}

// emoji reports whether r may end or begin a part of an emoji; skin tones are among the modifier symbols.
func emoji(r rune) bool { return r == emojiStyle || unicode.In(r, unicode.So, unicode.Sk) }
