package machine

import "encoding/json"

// Health is what components answer on /healthz while they are well, in the form that clients of the reference read.
// configVersion is the resource version of the KubeVirt object that the component goes by, empty as long as it knows none:
// clients wait for it to be as new as the object that they wrote. They read it into 32 bits.
func Health(configVersion string) []byte {
	text, err := json.Marshal(struct {
		APIServer     map[string]string `json:"apiserver"`
		ConfigVersion string            `json:"config-resource-version"`
	}{map[string]string{"connectivity": "ok"}, configVersion})
	if err != nil {
		panic(err) // strings can be written
	}
	return text
}
