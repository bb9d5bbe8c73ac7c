// Takes photographs in, one after the other, and says in a line why one is refused.
export default {
  props: {most: Number, large: Boolean},
  data: () => ({over: false, count: 0, total: 0, refused: []}),
  template: `
    <div class="drop" :class="{large, over}">
      <label>
        <input type="file" multiple accept="image/*,.tif,.tiff,.jp2,.bmp,.pnm,.ppm,.avif,.heic"
          :disabled="total > 0" @change="choose">
        <strong>{{ total ? 'Taking in ' + (count + 1) + ' of ' + total : large
          ? 'Drop photographs here' : 'Add photographs' }}</strong>
        <span v-if="large && !total">or click to choose them. They stay on this machine.</span>
      </label>
      <ul v-if="refused.length" role="alert">
        <li v-for="(line, at) in refused" :key="line + at">
          <bdi>{{ line }}</bdi>
          <button type="button" aria-label="Dismiss" @click="refused.splice(at, 1)">×</button>
        </li>
      </ul>
    </div>`,
  mounted() {
    this.listeners = {
      dragover: (event) => { event.preventDefault(); this.over = true; },
      dragleave: (event) => { if (!event.relatedTarget) this.over = false; },
      drop: (event) => {
        event.preventDefault();
        this.over = false;
        this.take([...event.dataTransfer.files]);
      },
    };
    for (const [name, hear] of Object.entries(this.listeners)) addEventListener(name, hear);
  },
  unmounted() {
    for (const [name, hear] of Object.entries(this.listeners)) removeEventListener(name, hear);
  },
  methods: {
    choose(event) {
      const files = [...event.target.files];
      event.target.value = '';
      this.take(files);
    },
    async take(files) {
      if (this.total) return;
      const taken = [];
      this.refused = [];
      this.total = files.length;
      for (this.count = 0; this.count < files.length; this.count++) {
        const {key, problem} = await this.send(files[this.count]);
        if (problem) this.refused.push(problem);
        if (key) taken.push(key);
      }
      this.total = 0;
      if (taken.length) this.$emit('taken', taken[0]);
    },
    async send(file) {
      if (file.size > this.most) {
        return {problem: `${file.name}: is larger than ${Math.round(this.most / 1e6)} MB`};
      }
      if (!file.size) return {problem: `${file.name}: is empty, or a folder`};
      try {
        const headers = {'X-Name': encodeURIComponent(file.name)};
        const answer = await fetch('/photos', {method: 'POST', headers, body: file});
        const text = await answer.text();
        if (answer.ok) return JSON.parse(text);
        const isOurs = answer.headers.get('content-type')?.startsWith('application/json');
        return {problem: isOurs ? JSON.parse(text).error : `${file.name}: ${text.trim()}`};
      } catch {
        const problem = 'could not be sent; can it be read, and is dit4sr ui still running?';
        return {problem: `${file.name}: ${problem}`};
      }
    },
  },
};
