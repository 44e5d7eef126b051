package server

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"unicode"

	enlocale "github.com/go-playground/locales/en"
	zhlocale "github.com/go-playground/locales/zh"
	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"
	entranslations "github.com/go-playground/validator/v10/translations/en"
	zhtranslations "github.com/go-playground/validator/v10/translations/zh"

	"github.com/paidui/paidui/models/visible"
)

// checker checks validate tags and describes violations in both languages. Beside the validator's own tags it knows those
// of Body and the application's.
type checker struct {
	validate *validator.Validate
	zh, en   ut.Translator
}

var msgWebPath = Text{
	"{0}应为 http(s) 网址，或以 / 开头的路径", "{0} must be an http(s) URL or a path that begins with /",
}

func newChecker(more ...Check) (*checker, error) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	zh, en := zhlocale.New(), enlocale.New()
	translators := ut.New(zh, zh, en)
	c := &checker{validate: v}
	c.zh, _ = translators.GetTranslator(zh.Locale())
	c.en, _ = translators.GetTranslator(en.Locale())
	err := errors.Join(
		zhtranslations.RegisterDefaultTranslations(v, c.zh),
		entranslations.RegisterDefaultTranslations(v, c.en),
		c.add("line", visible.Line, Text{
			"{0}不能为空白，也不能有换行等控制字符或看不见的字符", "{0} must be visible text on one line, without control or invisible characters",
		}),
		c.add("text", validText, Text{"{0}里除了制表和换行不能有控制字符", "{0} must hold no control characters but tabs and line breaks"}),
		c.add("webpath", validWebPath, msgWebPath),
		c.add("anywebpath", func(s string) bool { return s == "" || validWebPath(s) }, msgWebPath),
	)
	for _, m := range more {
		err = errors.Join(err, c.add(m.Tag, m.Valid, m.Msg))
	}
	return c, err
}

func (c *checker) add(tag string, valid func(string) bool, msg Text) error {
	err := c.validate.RegisterValidation(tag, func(f validator.FieldLevel) bool { return valid(f.Field().String()) })
	return errors.Join(err, c.translate(c.zh, tag, msg.In(Chinese)), c.translate(c.en, tag, msg.In(English)))
}

func (c *checker) translate(into ut.Translator, tag, msg string) error {
	return c.validate.RegisterTranslation(tag, into,
		func(t ut.Translator) error { return t.Add(tag, msg, true) },
		func(t ut.Translator, e validator.FieldError) string {
			translated, err := t.T(tag, e.Field())
			if err != nil {
				return e.Error()
			}
			return translated
		})
}

// Validate returns the first violation as a 400 that names its field. Echo calls it, too, for a handler's Context.Validate.
func (c *checker) Validate(v any) error {
	err := c.validate.Struct(v)
	if err == nil {
		return nil
	}
	var found validator.ValidationErrors
	if !errors.As(err, &found) || len(found) == 0 {
		return fmt.Errorf("checking a %T: %w", v, err)
	}
	first := found[0]
	return BadRequest(first.Field(), Text{first.Translate(c.zh), first.Translate(c.en)})
}

func validText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r", r) })
}

func validWebPath(s string) bool {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, unicode.IsSpace) || visible.Hidden(s) {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Host != ""
	case "":
		return u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, `\`)
	}
	return false
}
