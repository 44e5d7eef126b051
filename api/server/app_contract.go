package server

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/paidui/paidui/tasks"
)

// MergeContracts returns one contract, OpenAPI 3.0 in YAML, of the API's and an application's part. Each has operations below
// paths, and what these refer to below components; a part may refer to components of the other. Of info, what the application
// gives replaces what is there, but its description comes before the API's. Its servers and its security replace the API's,
// its tags come first, and anything else is taken as it is. A path, a component or another name that both define is an
// error. An application's part that is empty leaves the API's as it is.
func MergeContracts(api, application []byte) ([]byte, error) {
	if len(bytes.TrimSpace(application)) == 0 {
		return api, nil
	}
	merged, err := mergedContract(api, application)
	if err != nil {
		return nil, err
	}
	return writeContract(merged)
}

// mergedContract is MergeContracts, not written yet.
func mergedContract(api, application []byte) (*yaml.Node, error) {
	into, err := parseContract(api)
	if err != nil {
		return nil, fmt.Errorf("the API's contract: %w", err)
	}
	if len(bytes.TrimSpace(application)) == 0 {
		return into, nil
	}
	from, err := parseContract(application)
	if err != nil {
		return nil, fmt.Errorf("the application's contract: %w", err)
	}
	if err := mergeContract(into, from); err != nil {
		return nil, fmt.Errorf("the application's contract: %w", err)
	}
	return into, nil
}

// wholeContract is the contract of an application and its catalog.
func wholeContract(application []byte, catalog *tasks.Catalog) ([]byte, error) {
	if len(bytes.TrimSpace(application)) == 0 && len(catalog.All()) == 0 {
		return openapi, nil
	}
	doc, err := mergedContract(openapi, application)
	if err == nil {
		err = addTasks(doc, catalog)
	}
	if err != nil {
		return nil, err
	}
	return writeContract(doc)
}

// parseContract returns the mapping that a document is.
func parseContract(raw []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is not a mapping")
	}
	return doc.Content[0], nil
}

// mergeContract adds one contract to another.
func mergeContract(into, from *yaml.Node) error {
	var faults []error
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		own := valueOf(into, key.Value)
		switch {
		case key.Value == "openapi":
			if !strings.HasPrefix(value.Value, "3.0.") {
				faults = append(faults, fmt.Errorf("it is OpenAPI %s, not 3.0", value.Value))
			}
		case own == nil:
			into.Content = append(into.Content, key, value)
		case key.Value == "servers", key.Value == "security":
			*own = *value
		case own.Kind != value.Kind:
			faults = append(faults, fmt.Errorf("line %d: %s has another form than the API's", key.Line, key.Value))
		case key.Value == "tags":
			own.Content = append(value.Content, own.Content...)
		case key.Value == "info":
			mergeInfo(own, value)
		case key.Value == "paths":
			faults = append(faults, mergeNames(own, value, "path", operationPath))
		case key.Value == "components":
			faults = append(faults, mergeComponents(own, value))
		default:
			faults = append(faults, fmt.Errorf("line %d: %s is the API's", key.Line, key.Value))
		}
	}
	return errors.Join(faults...)
}

func mergeInfo(into, from *yaml.Node) {
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		own := valueOf(into, key.Value)
		switch {
		case own == nil:
			into.Content = append(into.Content, key, value)
		case key.Value == "description":
			own.Value = value.Value + "\n" + own.Value
			own.Style = yaml.LiteralStyle
		default:
			*own = *value
		}
	}
}

func mergeComponents(into, from *yaml.Node) error {
	var faults []error
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		if own := valueOf(into, key.Value); own != nil {
			faults = append(faults, mergeNames(own, value, "component "+key.Value, func(name string) string { return name }))
			continue
		}
		into.Content = append(into.Content, key, value)
	}
	return errors.Join(faults...)
}

// operationPath is a path whose parameters have no names, and that has no slash at its end: two that are alike are one route.
func operationPath(path string) string {
	if len(path) > 1 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	return anyParam.ReplaceAllString(path, "{}")
}

// mergeNames adds the names of one mapping to another; identity tells which are the same.
func mergeNames(into, from *yaml.Node, what string, identity func(string) string) error {
	var faults []error
	known := make(map[string]bool)
	for i := 0; i+1 < len(into.Content); i += 2 {
		known[identity(into.Content[i].Value)] = true
	}
	for i := 0; i+1 < len(from.Content); i += 2 {
		key := from.Content[i]
		if known[identity(key.Value)] {
			faults = append(faults, fmt.Errorf("line %d: the %s %s is there already", key.Line, what, key.Value))
			continue
		}
		known[identity(key.Value)] = true
		into.Content = append(into.Content, key, from.Content[i+1])
	}
	return errors.Join(faults...)
}

// valueOf returns what a mapping has under a key, or nil.
func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
