// Package repo holds what is true of the repository as a whole, as tests: who may
// import whom, that each package says what it is for, which words have no place
// here. It looks at sources only and must not build, run or change anything.
package repo
