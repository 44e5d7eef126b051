package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// maxBody is the largest request body, in bytes, where a route allows no more.
const maxBody = 64 << 10

// body reads the request's JSON object into a T and checks its validate tags. What lenient JSON readers accept is
// an error: unknown or repeated names, names in another case, more than one value, bytes that are not
// UTF-8.
func body[T any](s *Server, c echo.Context) (T, error) { return largeBody[T](s, c, maxBody) }

// largeBody is body with a limit of its own, in bytes.
func largeBody[T any](s *Server, c echo.Context, limit int64) (T, error) {
	var v T
	if err := checkContentType(c.Request()); err != nil {
		return v, err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	raw, err := readBody(c, (*buf)[:0], limit)
	if err != nil {
		return v, err
	}
	if cap(raw) <= maxBuffer {
		*buf = raw
	}
	if err := requestOf(c).admission.enter(c.Request().Context()); err != nil {
		return v, err
	}
	if p, ok := any(&v).(plainBody); ok && p.readPlain(raw) {
		return v, nil
	}
	if err := decode(raw, &v); err != nil {
		return v, err
	}
	return v, s.check.Struct(v)
}

// plainBody is a body that most clients of a busy route send in one plain form. readPlain reads that form for a fraction of
// the cost of decoding. It returns false for anything else, also for invalid input.
type plainBody interface{ readPlain(raw []byte) bool }

// readBody appends the request's body, of limit bytes at most, to b.
func readBody(c echo.Context, b []byte, limit int64) ([]byte, error) {
	r := c.Request()
	if n := r.ContentLength; 0 <= n && n <= min(limit, maxBody) {
		b = slices.Grow(b, int(n))[:n]
		if _, err := io.ReadFull(r.Body, b); err != nil {
			return nil, unreadable(err)
		}
		return b, nil
	}
	read, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &apiError{
			status: http.StatusRequestEntityTooLarge,
			msg:    textf("请求体超过 %d 字节", "the body has more than %d bytes", tooLarge.Limit),
		}
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return read, nil
}

func unreadable(cause error) error {
	return &apiError{
		status: http.StatusBadRequest, cause: cause,
		msg: text{"请求体没有读完整", "the body could not be read"},
	}
}

func checkContentType(r *http.Request) error {
	for _, coding := range r.Header["Content-Encoding"] {
		if !strings.EqualFold(coding, "identity") {
			return &apiError{
				status: http.StatusUnsupportedMediaType, field: "Content-Encoding",
				msg: text{"不支持 Content-Encoding，请直接发送 JSON", "Content-Encoding is not supported: send the JSON as it is"},
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
		return &apiError{
			status: http.StatusUnsupportedMediaType,
			msg:    text{"Content-Type 必须是 application/json", "Content-Type must be application/json"},
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
		return badRequest("", msgNoObject)
	}
	return nil
}

var msgNoObject = text{"请求体必须是一个 JSON 对象", "the body must be a JSON object"}

func explainJSON(err error) *apiError {
	var (
		syntax  *jsontext.SyntacticError
		meaning *json.SemanticError
	)
	switch {
	case errors.As(err, &meaning):
		return explainMeaning(meaning)
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		field := fieldOf(syntax.JSONPointer)
		return badRequest(field, textf("%s 出现了两次", "%s is given twice", field))
	case errors.As(err, &syntax):
		return badRequest("", textf("请求体不是合法的 JSON（第 %d 字节）", "the body is not valid JSON (at byte %d)", syntax.ByteOffset))
	}
	return badRequest("", text{"请求体不是合法的 JSON", "the body is not valid JSON"})
}

func explainMeaning(e *json.SemanticError) *apiError {
	field := fieldOf(e.JSONPointer)
	switch {
	case field == "":
		return badRequest("", msgNoObject)
	case errors.Is(e.Err, json.ErrUnknownName):
		return badRequest(field, textf("没有 %s 这个字段", "there is no field %s", field))
	}
	zh, en := kindOf(e.GoType)
	if zh == "" {
		if e.Err != nil {
			return badRequest(field, textf("%s 不正确：%v", "%s: %v", field, e.Err))
		}
		zh, en = "别的类型", "of another type"
	}
	return badRequest(field, text{field + " 应为" + zh, field + " must be " + en})
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

// fieldOf converts a JSON pointer to the API's name of the field: /on_success/0/backoff/base is on_success[0].backoff.base.
func fieldOf(p jsontext.Pointer) string {
	var field strings.Builder
	for name := range p.Tokens() {
		switch _, err := strconv.ParseUint(name, 10, 32); {
		case field.Len() == 0:
			field.WriteString(name)
		case err == nil:
			field.WriteString("[" + name + "]")
		default:
			field.WriteString("." + name)
		}
	}
	return field.String()
}
