package validation

import (
	"regexp"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Rules of what an instance names outside of itself. A name that no object can have would be waited for without end, and be
// refused in words about the pod.
var (
	RuleImageReference = rule("image-reference", "images are named as registries name them: [HOST[:PORT]/]PATH[:TAG][@DIGEST], the path in lower case")
	RuleReferenced     = rule("referenced-name", "claims, Secrets, ConfigMaps and service accounts are named as such objects can be named")

	// The grammar is that of container runtimes. A first part with a period, a port or an upper-case letter is the registry's host.
	imageHost   = regexp.MustCompile(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$`)
	imagePath   = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	imageTag    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	imageDigest = regexp.MustCompile(`^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$`)
	imageID     = regexp.MustCompile(`^[a-f0-9]{64}$`)
)

// maxImageName is how long host and path are together at most.
const maxImageName = 255

// image checks the reference of an image.
func (r *report) image(image string, p *field.Path) {
	if why := imageFault(image); why != "" {
		r.invalid(RuleImageReference, p, image, "must be the reference of an image such as registry.example.com:5000/team/image:tag: %s", why)
	}
}

// imageFault says what is wrong with the reference of an image, or nothing.
func imageFault(image string) string {
	if scheme, _, ok := strings.Cut(image, "://"); ok {
		return "leave " + scheme + ":// out"
	}
	if strings.TrimSpace(image) != image || strings.ContainsAny(image, " \t\r\n") {
		return "it must not have blanks"
	}
	name, digest, pinned := strings.Cut(image, "@")
	if pinned && !imageDigest.MatchString(digest) {
		return "its digest must be such as sha256: and 64 hexadecimal digits"
	}
	// A colon before the last slash belongs to the registry's port.
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		if tag := name[i+1:]; !imageTag.MatchString(tag) {
			return "its tag must be 1 to 128 letters, digits, underscores, periods and hyphens, and begin with none of the last two"
		}
		name = name[:i]
	}
	path, long := name, len(name) > maxImageName
	if first, rest, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(first, ".:[") || first == "localhost" || strings.ToLower(first) != first) {
		path = rest
		if !imageHost.MatchString(first) {
			return "its host must be a name or an address, with or without a port"
		}
	}
	switch {
	case long:
		return "its name must have at most 255 characters"
	case strings.ToLower(path) != path:
		return "its path must be in lower case"
	case !imagePath.MatchString(path):
		return "the parts of its path must be lower-case letters and digits, with single periods, underscores or hyphens between them"
	case !pinned && imageID.MatchString(name):
		return "64 hexadecimal digits are the id of an image, not its name"
	}
	return ""
}

// referenced checks the name of an object in the instance's namespace that must be given.
func (r *report) referenced(value string, p *field.Path) {
	if value == "" {
		r.required(RuleVolumeReference, p, "must be set")
		return
	}
	r.objectName(value, p)
}

// objectName checks the name of an object in the instance's namespace, if it is given.
func (r *report) objectName(value string, p *field.Path) {
	if value == "" {
		return
	}
	if msgs := apivalidation.NameIsDNSSubdomain(value, false); len(msgs) > 0 {
		r.invalid(RuleReferenced, p, value, "%s", strings.Join(msgs, "; "))
	}
}
