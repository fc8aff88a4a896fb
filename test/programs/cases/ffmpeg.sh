# shellcheck shell=bash disable=SC2034
case_about="ffmpeg encodes and decodes a test picture and sound in several formats, with filters"
case_quick=no
case_needs=(ffmpeg)
case_programs=(ffmpeg ffprobe)
case_timeout=300

# encode FILE OPTION...
encode() {
	local file=$1
	shift
	subject ffmpeg -nostdin -v error -y \
		-f lavfi -i "testsrc2=duration=$seconds:size=640x360:rate=25" \
		-f lavfi -i "sine=frequency=440:duration=$seconds:sample_rate=44100" \
		-threads 4 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact "$@" "$file"
}

# What comes out of a file again: a digest for each frame.
frames_of() {
	subject ffmpeg -nostdin -v error -threads 4 -i "$1" -f framemd5 "out/$1.frames"
	subject ffprobe -v error -show_streams -show_entries format=nb_streams,duration -of json "$1" \
		>"out/$1.probe"
}

run_round() {
	local seconds=6 file
	[[ $QUICK == yes ]] && seconds=2
	encode a.mkv -c:v libx264 -preset veryfast -c:a aac
	encode b.webm -c:v libvpx -deadline good -cpu-used 4 -b:v 500k -c:a libvorbis
	encode c.mp4 -c:v mpeg4 -c:a libmp3lame
	encode d.mkv -c:v ffv1 -slices 4 -c:a flac
	encode e.mkv -c:v huffyuv -c:a pcm_s16le -filter_complex \
		'[0:v]split[x][y];[x]scale=320:180,hflip,boxblur=2[z];[y][z]overlay=10:10,eq=contrast=1.2[v]' \
		-map '[v]' -map 1:a
	for file in a.mkv b.webm c.mp4 d.mkv e.mkv; do
		frames_of "$file"
		sha256sum <"$file" >"out/$file.sum"
	done
	subject ffmpeg -nostdin -v error -i a.mkv -vf 'fps=2,thumbnail=2,tile=2x2' -frames:v 1 -y tile.png
	sha256sum <tile.png >out/tile
}
