package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/paidui/paidui/tasks"
)

// addTasks names the catalog's tasks in the contract: at POST /v1/tasks each has an example with all of its arguments.
func addTasks(doc *yaml.Node, catalog *tasks.Catalog) error {
	specs := catalog.All()
	if len(specs) == 0 {
		return nil
	}
	body := doc
	for _, key := range []string{"paths", "/v1/tasks", "post", "requestBody", "content", "application/json"} {
		if body = valueOf(body, key); body == nil {
			return fmt.Errorf("the contract has no %s where a task is enqueued", key)
		}
	}
	examples := &yaml.Node{Kind: yaml.MappingNode}
	for _, spec := range specs {
		value, err := exampleCall(spec)
		if err != nil {
			return fmt.Errorf("the example of task %s: %w", spec.Name(), err)
		}
		summary := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			text("summary"), text(spec.Name() + ", in queue " + spec.Queue()), text("value"), value,
		}}
		examples.Content = append(examples.Content, text(spec.Name()), summary)
	}
	for i := 0; i+1 < len(body.Content); i += 2 {
		if body.Content[i].Value == "example" {
			body.Content[i], body.Content[i+1] = text("examples"), examples
			return nil
		}
	}
	body.Content = append(body.Content, text("examples"), examples)
	return nil
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// ExampleCall is a body with which POST /v1/tasks enqueues the task, as JSON: each of its arguments has a value that its schema
// allows, such as 0 or "". The task itself may want others.
func ExampleCall(spec tasks.Spec) ([]byte, error) {
	args, err := exampleArgs(spec)
	if err != nil {
		return nil, fmt.Errorf("the example of task %s: %w", spec.Name(), err)
	}
	return json.Marshal(struct {
		Task string `json:"task"`
		Args any    `json:"args"`
	}{spec.Name(), args})
}

func exampleArgs(spec tasks.Spec) (any, error) {
	var schema argsSchema
	if err := json.Unmarshal(spec.Schema(), &schema); err != nil {
		return nil, err
	}
	return schema.example(0), nil
}

// exampleCall is the body that enqueues the task.
func exampleCall(spec tasks.Spec) (*yaml.Node, error) {
	example, err := exampleArgs(spec)
	if err != nil {
		return nil, err
	}
	var args yaml.Node
	if err := args.Encode(example); err != nil {
		return nil, err
	}
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("task"), text(spec.Name()), text("args"), &args}}, nil
}

// argsSchema is what an example needs to know of a JSON Schema.
type argsSchema struct {
	Type       schemaType            `json:"type"`
	Properties map[string]argsSchema `json:"properties"`
	Enum       []any                 `json:"enum"`
}

// schemaType is a schema's type, the first of several that is not null; "" of none.
type schemaType string

func (t *schemaType) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*t = schemaType(one)
		return nil
	}
	var several []string
	if err := json.Unmarshal(raw, &several); err != nil {
		return err
	}
	for _, name := range several {
		if name != "null" {
			*t = schemaType(name)
			break
		}
	}
	return nil
}

// example is a value of the schema's type.
func (s argsSchema) example(depth int) any {
	const deepest = 5
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch s.Type {
	case "integer", "number":
		return 1
	case "boolean":
		return false
	case "array":
		return []any{}
	case "object":
		value := make(map[string]any)
		if depth < deepest {
			for name, property := range s.Properties {
				value[name] = property.example(depth + 1)
			}
		}
		return value
	}
	return "text"
}

// writeContract is the YAML of a contract.
func writeContract(doc *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(doc), enc.Close()); err != nil {
		return nil, fmt.Errorf("writing the contract: %w", err)
	}
	return out.Bytes(), nil
}
