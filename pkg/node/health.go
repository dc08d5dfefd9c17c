package node

// ConfigVersion is the resource version of the KubeVirt object that the agent goes by, empty as long as it knows none.
func (a *Agent) ConfigVersion() string {
	all, err := a.configs.KubeVirts(a.options.Namespace).List(everything)
	if err != nil || len(all) == 0 {
		return ""
	}
	return all[0].ResourceVersion
}
