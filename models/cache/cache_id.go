package cache

import (
	"fmt"
	"reflect"
	"strconv"
)

// ID is what the values of a cache are asked for by.
type ID interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~string
}

// formatID is the text of id.
func formatID[K ID](id K) string {
	v := reflect.ValueOf(id)
	switch {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	}
	return v.String()
}

// parseID is the reverse of formatID.
func parseID[K ID](text string) (id K, err error) {
	v := reflect.ValueOf(&id).Elem()
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return id, fmt.Errorf("id %q: %w", text, err)
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return id, fmt.Errorf("id %q: %w", text, err)
		}
		v.SetUint(n)
	default:
		v.SetString(text)
	}
	return id, nil
}
