package server

import (
	"fmt"

	"github.com/labstack/echo/v4"
	textlanguage "golang.org/x/text/language"
)

type language int

const (
	chinese language = iota
	english
)

// languages has the values of Options.Language.
var languages = map[string]language{"": chinese, "zh": chinese, "en": english}

// header returns the value of Content-Language. All answers share it: nothing may write to it.
func (l language) header() []string {
	if l == english {
		return inEnglish
	}
	return inChinese
}

var inChinese, inEnglish = []string{"zh-CN"}, []string{"en"}

// text is one message in every language of the API.
type text struct{ zh, en string }

func (t text) in(l language) string {
	if l == english {
		return t.en
	}
	return t.zh
}

// textf formats both languages with the same arguments.
func textf(zh, en string, args ...any) text {
	return text{fmt.Sprintf(zh, args...), fmt.Sprintf(en, args...)}
}

// languageOf returns the language that Accept-Language asks for, or the server's default.
func languageOf(c echo.Context) language {
	if r, ok := c.Request().Context().Value(requestKey{}).(*request); ok {
		return r.language
	}
	return acceptedLanguage(c.Request().Header.Get("Accept-Language"), chinese) // a handler of another server
}

// acceptedLanguage returns the language that the header prefers, or fallback when it has none that we have.
func acceptedLanguage(header string, fallback language) language {
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
			return chinese
		case "en":
			return english
		}
	}
	return fallback
}
