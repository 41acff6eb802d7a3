package simulations

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed scenarios/*.yaml
var shipped embed.FS

// Everything is the name of the shipped scenario in which everything happens at once.
const Everything = "everything-at-once"

// ShippedNames returns the names of the scenarios that come with this package, sorted.
func ShippedNames() []string {
	entries, err := shipped.ReadDir("scenarios")
	if err != nil {
		panic(fmt.Sprintf("simulations: the embedded scenarios cannot be listed: %v", err))
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Shipped returns the scenario of a name that comes with this package, the caller's to change.
func Shipped(name string) (*Scenario, error) {
	names := ShippedNames()
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("simulations: no scenario %q%s", clip(name, maxShownInText), didYouMean(name, names))
	}
	data, err := shipped.ReadFile(path.Join("scenarios", name+".yaml"))
	if err != nil {
		return nil, err
	}
	return ParseScenario(name, data)
}
