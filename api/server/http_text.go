package server

import (
	"fmt"

	"github.com/labstack/echo/v4"
	textlanguage "golang.org/x/text/language"
)

// Language is one of those that answers have.
type Language int

// The languages of answers.
const (
	Chinese Language = iota
	English
)

// languages has the values of Options.Language.
var languages = map[string]Language{"": Chinese, "zh": Chinese, "en": English}

// header returns the value of Content-Language. All answers share it: nothing may write to it.
func (l Language) header() []string {
	if l == English {
		return inEnglish
	}
	return inChinese
}

var inChinese, inEnglish = []string{"zh-CN"}, []string{"en"}

// Text is one message in every language of the API. A program that speaks one language leaves the other "": its clients get
// that one, whatever they ask for.
type Text struct{ ZH, EN string }

// Textf formats both languages with the same arguments.
func Textf(zh, en string, args ...any) Text {
	return Text{ZH: fmt.Sprintf(zh, args...), EN: fmt.Sprintf(en, args...)}
}

// In returns the message in a language, or in the other one when it has none in this.
func (t Text) In(l Language) string {
	if l == English && t.EN != "" || t.ZH == "" {
		return t.EN
	}
	return t.ZH
}

// LanguageOf returns the language that the request's Accept-Language prefers, or else Options.Language.
func LanguageOf(c echo.Context) Language {
	if r := stateOf(c); r != nil {
		return r.language
	}
	return acceptedLanguage(c.Request().Header.Get("Accept-Language"), Chinese) // a handler of another server
}

// acceptedLanguage returns the language that the header prefers, or fallback when it has none that we have.
func acceptedLanguage(header string, fallback Language) Language {
	if header == "" {
		return fallback
	}
	tags, _, err := textlanguage.ParseAcceptLanguage(header)
	if err != nil {
		return fallback
	}
	for _, tag := range tags {
		switch base, _ := tag.Base(); base.String() {
		case "zh":
			return Chinese
		case "en":
			return English
		}
	}
	return fallback
}
