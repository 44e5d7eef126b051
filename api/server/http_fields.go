package server

// set assigns *from to the field, unless from is nil, which stands for a field absent from the body.
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
