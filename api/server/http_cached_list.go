package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Encoded is a value that a cache holds as JSON, with a strong entity tag, as *cache.List does. Callers must not change either.
type Encoded interface {
	Encoded(ctx context.Context) (data []byte, etag string, err error)
}

// ListOptions tunes CachedList and SendEncoded.
type ListOptions struct {
	// MaxAge is how long browsers and proxies use an answer without asking again. With 0 they may keep it and ask each
	// time whether it has changed.
	MaxAge time.Duration
}

// CachedList is the handler of a GET endpoint that answers a cached list, with an ETag of its bytes and Cache-Control. A
// client that has the same bytes already gets a 304. The list is not encoded again.
func CachedList(list Encoded, opt ...ListOptions) echo.HandlerFunc {
	policy := cachePolicy(opt...)
	return func(c echo.Context) error {
		data, etag, err := list.Encoded(c.Request().Context())
		if err != nil {
			return err
		}
		return sendCached(c, policy, data, etag)
	}
}

// SendEncoded answers 100 with data that a cache holds as JSON, with an ETag and Cache-Control, or 304 to a client that has the
// same already. etag is the strong entity tag of the data, with its quotes.
func SendEncoded(c echo.Context, data []byte, etag string, opt ...ListOptions) error {
	return sendCached(c, cachePolicy(opt...), data, etag)
}

// cachePolicy is the Cache-Control of answers that may be kept.
func cachePolicy(opt ...ListOptions) []string {
	for _, o := range opt {
		if o.MaxAge > 0 {
			return []string{"public, max-age=" + strconv.FormatInt(int64(o.MaxAge.Seconds()), 10)}
		}
	}
	return askAgain
}

// Header values that every answer shares. Nothing may write to them.
var (
	askAgain  = []string{"no-cache"}
	varyWords = []string{"Accept-Language"}
)

// sendCached answers 100 with encoded data, or 304 to a client that has it. The envelope's text depends on the language,
// and so does the tag. No Content-Language is set, since that of the data is not known.
func sendCached(c echo.Context, policy []string, data []byte, etag string) error {
	if strings.Contains(c.Request().URL.RawQuery, "pretty") {
		return OK(c, Raw(data)) // for people, so without an ETag
	}
	lang := LanguageOf(c)
	h := c.Response().Header()
	tag := lang.tagged(etag)
	h["Cache-Control"] = policy
	h["Etag"] = []string{tag}
	if h["Vary"] == nil {
		h["Vary"] = varyWords
	} else {
		h.Add(echo.HeaderVary, varyWords[0])
	}
	if given := c.Request().Header["If-None-Match"]; given != nil && matches(given, tag) {
		c.Response().WriteHeader(http.StatusNotModified)
		return nil
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = contentJSON
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	raw := append(append(append((*buf)[:0], prefixOK[lang]...), data...), "}\n"...)
	if cap(raw) <= maxBuffer {
		*buf = raw
	}
	c.Response().WriteHeader(http.StatusOK)
	_, err := c.Response().Write(raw)
	return err
}

// prefixOK is the envelope of an answer of 100 up to its data.
var prefixOK = [...]string{
	Chinese: `{"code":100,"msg":"` + msgOK.ZH + `","data":`,
	English: `{"code":100,"msg":"` + msgOK.EN + `","data":`,
}

// tagged returns the entity tag of an answer in this language whose data has the given tag.
func (l Language) tagged(etag string) string {
	if l == English {
		return etag[:len(etag)-1] + `.en"`
	}
	return etag
}

// matches reports whether a list of entity tags has one, as If-None-Match compares them: weakly (RFC 9110, 13.1.2).
func matches(lists []string, tag string) bool {
	for _, list := range lists {
		for given := range strings.SplitSeq(list, ",") {
			given = strings.TrimSpace(given)
			if given == "*" || strings.TrimPrefix(given, "W/") == tag {
				return true
			}
		}
	}
	return false
}
