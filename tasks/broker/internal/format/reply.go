package format

import "strings"

// WorkerOf is the name in a delivery's token, "" when it has none.
func WorkerOf(token string) string {
	if i := strings.LastIndexByte(token, '|'); i >= 0 {
		return token[:i]
	}
	return ""
}

// Texts are the texts of an array in a reply.
func Texts(reply any) []string {
	list, _ := reply.([]any)
	out := make([]string, len(list))
	for i, one := range list {
		out[i], _ = one.(string)
	}
	return out
}

// Flag is 1 for true.
func Flag(flag bool) int {
	if flag {
		return 1
	}
	return 0
}
