// Package repo holds what is true of the repository as a whole, as tests: who may
// import whom, that each package says what it is for, which words have no place
// here. It looks at sources, and runs the checks of hack/lint.sh on files of its own; it
// must not build or change anything.
package repo
