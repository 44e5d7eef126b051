package server

// set gives a field the value that the body has for it, if it has one.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func missing(field string) *apiError {
	return badRequest(field, textf("缺少 %s", "%s is missing", field))
}

func nothingToChange() *apiError {
	return badRequest("", text{"没有要修改的字段", "there is no field to change"})
}
