package guest

import "strings"

// Keys names what all guests are made of: it changes when a recipe does.
func Keys() (string, error) {
	var keys []string
	for _, r := range recipes {
		key, err := r.key()
		if err != nil {
			return "", err
		}
		keys = append(keys, r.name+"="+key)
	}
	return strings.Join(keys, " "), nil
}
