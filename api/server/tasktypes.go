package server

import (
	"encoding/json"

	"github.com/labstack/echo/v4"
)

type taskType struct {
	Name   string          `json:"name"`
	Queue  string          `json:"queue"`
	Schema json.RawMessage `json:"schema"` // of the arguments
}

func (s *Server) listTaskTypes(c echo.Context) error {
	specs := s.Catalog.All()
	list := make([]taskType, len(specs))
	for i, spec := range specs {
		list[i] = taskType{Name: spec.Name(), Queue: spec.Queue(), Schema: spec.Schema()}
	}
	return ok(c, list)
}
