package server

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/models/fieldname"
)

// Body reads the request's JSON object into a T and checks its validate tags. What lenient JSON readers accept is a 400 that
// names the field: unknown or repeated names, names in another case, more than one value, bytes that are not UTF-8. A body
// that is larger than the route's MaxBody is a 413, and one that is no JSON by its Content-Type a 415. The request's turn
// under load comes once the body is read.
//
// The tags are those of github.com/go-playground/validator and Application.Checks, with line (one line of visible text),
// text (without control characters but tabs and line breaks), webpath (an http(s) URL or a path that begins with a slash) and
// anywebpath (that, or "").
func Body[T any](c echo.Context) (T, error) {
	var v T
	state := requestOf(c)
	if err := checkContentType(c.Request()); err != nil {
		return v, err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	raw, err := state.readBody(c, (*buf)[:0])
	if err != nil {
		return v, err
	}
	if cap(raw) <= maxBuffer {
		*buf = raw
	}
	if err := state.admission.enter(c.Request().Context()); err != nil {
		return v, err
	}
	if p, ok := any(&v).(PlainBody); ok && p.ReadPlain(raw) {
		return v, nil
	}
	if err := decode(raw, &v); err != nil {
		return v, err
	}
	return v, state.server.check.Validate(v)
}

// PlainBody is a body that most clients of a busy route send in one plain form. ReadPlain reads that form for a fraction of
// the cost of decoding. It returns false for anything else, also for invalid input.
type PlainBody interface{ ReadPlain(raw []byte) bool }

// readBody appends the request's body, of the route's limit at most, to b.
func (r *request) readBody(c echo.Context, b []byte) ([]byte, error) {
	limit, from := int64(DefaultMaxBody), c.Request().Body
	if r.body != nil { // else it is a route of Echo's own
		limit, from = r.body.limit, r.body.from
	}
	if n := c.Request().ContentLength; 0 <= n && n <= min(limit, DefaultMaxBody) {
		b = slices.Grow(b, int(n))[:n]
		if _, err := io.ReadFull(from, b); err != nil {
			return nil, unreadable(err)
		}
		return b, nil
	}
	read, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, from, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, bodyTooLarge(tooLarge.Limit)
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return read, nil
}

func bodyTooLarge(limit int64) *Failure {
	return &Failure{
		Status: http.StatusRequestEntityTooLarge,
		Msg:    Textf("请求体超过 %d 字节", "the body has more than %d bytes", limit),
	}
}

// bodyReader is the body of a request whose handler reads it without Body: it has the route's limit, and waits for the
// request's turn before the first byte.
type bodyReader struct {
	from  io.ReadCloser // what net/http has
	limit int64
	state *request
	w     http.ResponseWriter
	reads io.ReadCloser // nil before the first byte
}

// Read reads from net/http.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.reads == nil {
		b.reads = http.MaxBytesReader(b.w, b.from, b.limit)
		if err := b.state.admission.enter(b.state); err != nil {
			return 0, err
		}
	}
	return b.reads.Read(p)
}

// Close closes the body of net/http.
func (b *bodyReader) Close() error { return b.from.Close() }

// takeBody has the request's body be read within the route's limit.
func (r Route) takeBody(c echo.Context) {
	req, state := c.Request(), requestOf(c)
	state.body = &bodyReader{
		from: req.Body, limit: cmp.Or(r.MaxBody, DefaultMaxBody), state: state, w: c.Response().Writer,
	}
	req.Body = state.body
}

func unreadable(cause error) error {
	return &Failure{
		Status: http.StatusBadRequest, Cause: cause,
		Msg: Text{"请求体没有读完整", "the body could not be read"},
	}
}

func checkContentType(r *http.Request) error {
	for _, coding := range r.Header["Content-Encoding"] {
		if !strings.EqualFold(coding, "identity") {
			return &Failure{
				Status: http.StatusUnsupportedMediaType, Field: "Content-Encoding",
				Msg: Text{"不支持 Content-Encoding，请直接发送 JSON", "Content-Encoding is not supported: send the JSON as it is"},
			}
		}
	}
	given := r.Header.Get("Content-Type")
	if given == echo.MIMEApplicationJSON {
		return nil
	}
	kind, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	if err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return &Failure{
			Status: http.StatusUnsupportedMediaType,
			Msg:    Text{"Content-Type 必须是 application/json", "Content-Type must be application/json"},
		}
	}
	return nil
}

var strict = json.JoinOptions(json.RejectUnknownMembers(true))

// decode reads exactly one JSON object.
func decode(raw []byte, into any) error {
	kind := jsontext.Value(raw).Kind()
	err := json.Unmarshal(raw, into, strict)
	switch {
	case err != nil:
		return explainJSON(err)
	case kind != '{':
		return BadRequest("", msgNoObject)
	}
	return nil
}

var msgNoObject = Text{"请求体必须是一个 JSON 对象", "the body must be a JSON object"}

func explainJSON(err error) *Failure {
	var (
		syntax  *jsontext.SyntacticError
		meaning *json.SemanticError
	)
	switch {
	case errors.As(err, &meaning):
		return explainMeaning(meaning)
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		field := fieldname.Of(syntax.JSONPointer)
		return BadRequest(field, Textf("%s 出现了两次", "%s is given twice", field))
	case errors.As(err, &syntax):
		return BadRequest("", Textf("请求体不是合法的 JSON（第 %d 字节）", "the body is not valid JSON (at byte %d)", syntax.ByteOffset))
	}
	return BadRequest("", Text{"请求体不是合法的 JSON", "the body is not valid JSON"})
}

func explainMeaning(e *json.SemanticError) *Failure {
	field := fieldname.Of(e.JSONPointer)
	switch {
	case field == "":
		return BadRequest("", msgNoObject)
	case errors.Is(e.Err, json.ErrUnknownName):
		return BadRequest(field, Textf("没有 %s 这个字段", "there is no field %s", field))
	}
	zh, en := kindOf(e.GoType)
	if zh == "" {
		if e.Err != nil {
			return BadRequest(field, Textf("%s 不正确：%v", "%s: %v", field, e.Err))
		}
		zh, en = "别的类型", "of another type"
	}
	return BadRequest(field, Text{field + " 应为" + zh, field + " must be " + en})
}

// kindOf describes the JSON that a Go type takes. It returns "" for a type that unmarshals itself.
func kindOf(t reflect.Type) (zh, en string) {
	if t == nil {
		return "", ""
	}
	if t == reflect.TypeFor[time.Time]() {
		return " RFC 3339 时间，如 2026-01-02T15:04:05+08:00", "an RFC 3339 time, such as 2026-01-02T15:04:05+08:00"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "数组", "an array"
	case reflect.Map, reflect.Struct:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return "", ""
		}
		return "对象", "an object"
	case reflect.String:
		return "字符串", "a string"
	case reflect.Bool:
		return " true 或 false", "true or false"
	case reflect.Int, reflect.Int32:
		return "整数（不能过大）", "an integer, and not too large"
	case reflect.Int64:
		if t.PkgPath() == "" {
			return "整数（不能过大）", "an integer, and not too large"
		}
	}
	return "", ""
}
