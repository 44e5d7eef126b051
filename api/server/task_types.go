package server

import (
	"encoding/json"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
)

type taskType struct {
	Name      string          `json:"name"`
	Queue     string          `json:"queue"`     // where a call goes that names none
	Encrypted bool            `json:"encrypted"` // whether its values are stored encrypted, where the programs have keys
	Options   tasks.Options   `json:"options"`   // of the definition, where they are not the standard ones
	Schema    json.RawMessage `json:"schema"`    // of the arguments
}

func (s *Server) listTaskTypes(c echo.Context) error {
	specs := s.Catalog.All()
	list := make([]taskType, len(specs))
	for i, spec := range specs {
		list[i] = taskType{Name: spec.Name(), Queue: s.Tasks.QueueOf(spec), Encrypted: spec.Encrypted(), Options: spec.Options(), Schema: spec.Schema()}
	}
	return OK(c, list)
}
