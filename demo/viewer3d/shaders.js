// What the graphics processor runs for the 3D component; WebGL 2.
// Vertices are depth codes in a grid, of which `lens` has focal length, base and step.
const SOLID = [`#version 300 es
precision highp float;
layout(location = 0) in uint code;
uniform mat4 view; uniform mat3 turn; uniform vec2 size; uniform vec3 lens; uniform vec2 dots;
out vec2 uv;
void main() {
  int columns = int(size.x);
  vec2 pixel = vec2(float(gl_VertexID % columns), float(gl_VertexID / columns));
  float z = exp(lens.y + lens.z * float(code));
  uv = (pixel + 0.5) / size;
  gl_Position = view * vec4(turn * (z * vec3((pixel - (size - 1.0) / 2.0) / lens.x, 1.0)), 1.0);
  gl_PointSize = clamp(dots.x * z / (lens.x * gl_Position.w), dots.y, 64.0);
}`, `#version 300 es
precision mediump float;
in vec2 uv; uniform sampler2D photo; uniform bool round; out vec4 colour;
void main() {
  if (round && length(gl_PointCoord - 0.5) > 0.5) discard;
  colour = vec4(texture(photo, uv).rgb, 1.0);
}`];
// Each segment is a strip as wide on the screen at every distance; it is cut at the near plane.
const LINES = [`#version 300 es
precision highp float;
layout(location = 0) in vec3 from; layout(location = 1) in vec3 to;
uniform mat4 view; uniform vec2 pixels; uniform float width, near;
void main() {
  vec4 a = view * vec4(from, 1.0), b = view * vec4(to, 1.0);
  if (a.w < near && b.w < near) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  if (a.w < near) a = mix(a, b, (near - a.w) / (b.w - a.w));
  if (b.w < near) b = mix(b, a, (near - b.w) / (a.w - b.w));
  vec2 along = (b.xy / b.w - a.xy / a.w) * pixels;
  vec2 over = normalize(vec2(-along.y, along.x) + 1e-6) * width / pixels;
  gl_Position = gl_VertexID < 2 ? a : b;
  gl_Position.xy += (gl_VertexID % 2 == 0 ? over : -over) * gl_Position.w;
  gl_Position.z -= 0.0015 * gl_Position.w; // in front of the ground that it lies on
}`, `#version 300 es
precision mediump float;
uniform vec4 tint; out vec4 colour;
void main() { colour = tint; }`];
