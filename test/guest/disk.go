package guest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	sector = 512
	// firstPartition leaves 1 MiB free, as partitioning programs do.
	firstPartition = 2048
)

// partition is a file system that becomes a partition.
type partition struct {
	file string
	kind byte
	boot bool
}

const (
	kindFAT32LBA = 0x0c
	kindLinux    = 0x83
)

// assembleTiny makes the tiny guest's disk.
func assembleTiny(_ context.Context, dir string) error {
	if err := assembleDisk(dir, []partition{{file: "boot.fat", kind: kindFAT32LBA, boot: true}}); err != nil {
		return err
	}
	return removeAll(dir, "boot.fat", "mbr.bin")
}

// assembleNull makes the null guest's disk, which has boot code and no partition.
func assembleNull(_ context.Context, dir string) error {
	if err := assembleDisk(dir, nil); err != nil {
		return err
	}
	return removeAll(dir, "mbr.bin")
}

// assembleDebian makes the Debian guest's disk and turns it into compressed QCOW2: a third of the size to push to a
// registry and pull to each node, and no slower to boot.
func assembleDebian(ctx context.Context, dir string) error {
	err := assembleDisk(dir, []partition{
		{file: "boot.fat", kind: kindFAT32LBA, boot: true},
		{file: "root.ext4", kind: kindLinux},
	})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", DiskRaw, DiskQCOW2)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("qemu-img convert: %w: %s", err, out)
	}
	return removeAll(dir, "boot.fat", "root.ext4", "mbr.bin", DiskRaw)
}

func removeAll(dir string, names ...string) error {
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// assembleDisk writes dir/disk.raw: a master boot record with the boot code of dir/mbr.bin, then the partitions.
func assembleDisk(dir string, parts []partition) error {
	code, err := os.ReadFile(filepath.Join(dir, "mbr.bin"))
	if err != nil {
		return err
	}
	disk, err := os.Create(filepath.Join(dir, DiskRaw))
	if err != nil {
		return err
	}
	defer disk.Close()
	start := int64(firstPartition)
	var table []entry
	for _, p := range parts {
		sectors, err := copySparse(disk, start*sector, filepath.Join(dir, p.file))
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		table = append(table, entry{kind: p.kind, boot: p.boot, start: start, sectors: sectors})
		start += sectors
	}
	record, err := bootRecord(code, table)
	if err != nil {
		return err
	}
	if _, err := disk.WriteAt(record, 0); err != nil {
		return err
	}
	if err := disk.Truncate(start * sector); err != nil {
		return err
	}
	return disk.Close()
}

// entry is one of the four of a partition table.
type entry struct {
	kind           byte
	boot           bool
	start, sectors int64
}

// bootRecord gives the first sector of a disk.
func bootRecord(code []byte, table []entry) ([]byte, error) {
	const codeSize, entrySize, entries = 440, 16, 4
	if len(code) > codeSize {
		return nil, fmt.Errorf("boot code has %d bytes, more than %d", len(code), codeSize)
	}
	if len(table) > entries {
		return nil, fmt.Errorf("%d partitions, more than %d", len(table), entries)
	}
	record := make([]byte, sector)
	copy(record, code)
	// The signature makes the disk's identity, and PARTUUIDs, the same in each build.
	binary.LittleEndian.PutUint32(record[codeSize:], 0x54504c56)
	for i, e := range table {
		if e.start+e.sectors > 1<<32 {
			return nil, fmt.Errorf("partition %d ends beyond 2 TiB", i+1)
		}
		b := record[codeSize+6+i*entrySize:]
		if e.boot {
			b[0] = 0x80
		}
		// Cylinder, head and sector of old say "look at the numbers below".
		copy(b[1:], []byte{0xfe, 0xff, 0xff})
		b[4] = e.kind
		copy(b[5:], []byte{0xfe, 0xff, 0xff})
		binary.LittleEndian.PutUint32(b[8:], uint32(e.start))
		binary.LittleEndian.PutUint32(b[12:], uint32(e.sectors))
	}
	record[sector-2], record[sector-1] = 0x55, 0xaa
	return record, nil
}

// copySparse copies a file to an offset of disk, leaves out blocks of zeros, and returns its size in sectors.
func copySparse(disk io.WriterAt, offset int64, name string) (int64, error) {
	in, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	buf := make([]byte, 1<<20)
	var size int64
	for {
		n, err := io.ReadFull(in, buf)
		if n > 0 && !allZero(buf[:n]) {
			if _, err := disk.WriteAt(buf[:n], offset+size); err != nil {
				return 0, err
			}
		}
		size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if size%sector != 0 {
		return 0, fmt.Errorf("size %d is no multiple of %d", size, sector)
	}
	return size / sector, nil
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
