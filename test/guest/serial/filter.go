package serial

// filter makes plain text of a terminal's output: line ends become "\n", escape sequences and other control
// characters disappear. Sequences may be split over calls.
type filter struct {
	state state
	// low is the least length that the last append left on its way: a backspace takes text away.
	low int
}

type state int

const (
	plain state = iota
	escape
	sequence // after ESC [
	command  // after ESC ] and the like, up to BEL or ESC \
	commandEscape
	intermediate // one more byte follows, as in ESC ( B
)

func (f *filter) append(out, in []byte) []byte {
	f.low = len(out)
	for _, b := range in {
		switch f.state {
		case plain:
			switch {
			case b == 0x1b:
				f.state = escape
			case b == '\n' || b == '\t' || b >= ' ' && b != 0x7f:
				out = append(out, b)
			case b == '\b' && len(out) > 0 && out[len(out)-1] != '\n':
				out = out[:len(out)-1]
				f.low = min(f.low, len(out))
			}
		case escape:
			switch {
			case b == '[':
				f.state = sequence
			case b == ']' || b == 'P' || b == '^' || b == '_' || b == 'X':
				f.state = command
			case b >= ' ' && b <= '/':
				f.state = intermediate
			default:
				f.state = plain
			}
		case sequence:
			// Parameters run up to a letter or one of a few signs.
			if b >= '@' && b <= '~' {
				f.state = plain
			}
		case command:
			switch b {
			case 0x07:
				f.state = plain
			case 0x1b:
				f.state = commandEscape
			}
		case commandEscape, intermediate:
			f.state = plain
		}
	}
	return out
}
