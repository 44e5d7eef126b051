package server

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendTo appends the envelope as an encoding/json.Encoder would write it. Strings without escapes, and Data that is nil
// or encoded, take no reflection: most answers have nothing else.
func (e envelope) appendTo(b []byte) ([]byte, error) {
	b = append(b, `{"code":`...)
	b = strconv.AppendInt(b, int64(e.Code), 10)
	b, err := appendJSON(append(b, `,"msg":`...), e.Msg)
	if err == nil {
		b, err = appendJSON(append(b, `,"data":`...), e.Data)
	}
	if err == nil && e.TaskID != "" {
		b, err = appendJSON(append(b, `,"task_id":`...), e.TaskID)
	}
	if err == nil && e.Field != "" {
		b, err = appendJSON(append(b, `,"field":`...), e.Field)
	}
	if err == nil && len(e.Warnings) > 0 {
		b, err = appendJSON(append(b, `,"warnings":`...), e.Warnings)
	}
	return append(b, "}\n"...), err
}

// Raw is a value that is JSON already, and valid.
type Raw []byte

// MarshalJSON returns r, for encoders other than appendTo.
func (r Raw) MarshalJSON() ([]byte, error) { return r, nil }

func appendJSON(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case Raw:
		return append(b, v...), nil
	case string:
		if needsNoEscape(v) {
			return append(append(append(b, '"'), v...), '"'), nil
		}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return b, fmt.Errorf("encoding a %T: %w", v, err)
	}
	return append(b, raw...), nil
}

// needsNoEscape reports whether encoding/json writes s as it is.
func needsNoEscape(s string) bool {
	ascii := true
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(s) && !strings.Contains(s, "\u2028") && !strings.Contains(s, "\u2029")
}
